/* The leaf loops over tiles of logits, CSR batches and blocks of parameters: part of the table in rowops.h. */
#ifndef FASTSOFTMAX_TILEOPS_H
#define FASTSOFTMAX_TILEOPS_H

#include <stddef.h>
#include <stdint.h>

/* A block of a matrix, by strides and, where ids are given, by chosen rows or columns:
 * element (i, j) is data[(row_ids ? row_ids[i] : i) * row_stride + (col_ids ? col_ids[j] : j) * col_stride]. */
typedef struct {
    void *data;
    const int64_t *row_ids, *col_ids;
    ptrdiff_t row_stride, col_stride;
} Block;

/* What becomes of a gradient. state_per_row: Adagrad keeps one mean square a row instead of one square an element. */
enum { RULE_ADD, RULE_SGD, RULE_ADAGRAD };
typedef struct {
    int kind, state_per_row;
    double learning_rate, epsilon, alpha;
} Rule;

enum { PANEL_BYTES = 128 }; /* of classes in a panel of csr_impl.h */

#define ROWOPS_FIELDS_TILES(real)                                                                                     \
    /* out[i, j] <- block[i, j] for i < n_rows, j < n_cols; out is C contiguous */                                    \
    void (*gather_block)(const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, real *out);                          \
    /* out[i, :] <- bias, or zero where it is NULL */                                                                 \
    void (*fill_rows)(const real *bias, ptrdiff_t n_rows, ptrdiff_t n_cols, real *out, ptrdiff_t stride);             \
    /* out[i, :] (+)= sum over entries e of row i of data[e] * dense[row(e), :], row(e) = ids ? ids[indices[e]] : indices[e] */ \
    void (*spmm)(const ptrdiff_t *indptr, const int32_t *indices, const real *data, ptrdiff_t n_rows,                 \
                 const real *dense, ptrdiff_t dense_stride, const int64_t *ids, ptrdiff_t n_cols,                     \
                 real *out, ptrdiff_t out_stride, int accumulate);                                                    \
    /* for each row: m = max(z + offset), z <- exp(z + offset - m), s = sum(z); offset may be NULL; m = -inf, s = 0 of -inf rows */ \
    void (*exp_rows)(real *z, ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t stride, const real *offset,               \
                     double *max_out, double *sum_out);                                                               \
    /* z[i, :] <- scale[i] * z[i, :] - prior_scale[i] * prior; prior may be NULL */                                   \
    void (*scale_rows)(real *z, ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t stride, const double *scale,            \
                       const double *prior_scale, const real *prior);                                                 \
    /* sums[j] <- sum over rows of z[:, j] */                                                                         \
    void (*sum_columns)(const real *z, ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t stride, real *sums);             \
    /* block <- rule(block, grad); grad (n_rows, n_cols) is C contiguous and may be changed; state: one value a row, or \
     * laid out as block */                                                                                           \
    void (*update_block)(const Rule *rule, const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, real *grad,        \
                         real *state);                                                                                \
    /* sum_out[i] <- sum over parts p, in order, of parts[p * part_stride + i], for i < n */                          \
    void (*sum_parts)(const real *parts, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t n, real *sum_out);       \
    /* csr_impl.h. out (n_rows, PANEL) <- columns start to start + n_cols of weights; zeros beyond */                 \
    void (*pack_panel)(const Block *weights, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t n_cols, real *out);         \
    /* z[i, :n_cols] += sum over entries e of row i of data[e] * packed[indices[e], :] */                             \
    void (*csr_rows)(const ptrdiff_t *indptr, const int32_t *indices, const real *data, ptrdiff_t n_rows,             \
                     const real *packed, ptrdiff_t n_cols, real *z, ptrdiff_t stride);                                \
    /* columns start to start + n_cols of weights, and their state, take the rule's step with the gradient            \
     * [f, j] = sum over entries e of column f of data[e] * dz[rows[e], j]; stride: a multiple of PANEL, >= n_cols */  \
    void (*csr_step)(const Rule *rule, const Block *weights, real *state, ptrdiff_t start, const ptrdiff_t *indptr,   \
                     const int32_t *rows, const real *data, ptrdiff_t n_features, const real *dz, ptrdiff_t stride,   \
                     ptrdiff_t n_cols);                                                                               \
    /* topk_impl.h */                                                                                                 \
    void (*topk_rows)(const real *z, ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t stride, int64_t first_id,          \
                      ptrdiff_t k, real *values, int64_t *ids);                                                       \
    void (*topk_merge)(real *values, int64_t *ids, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t k);

#endif
