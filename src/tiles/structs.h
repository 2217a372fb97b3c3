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

/* Panels: `n_panels` blocks, `stride` reals apart, of rows `width` reals long; see panels_impl.h. */
typedef struct {
    void *data;
    ptrdiff_t width, stride, n_panels;
} Panels;

/* The side of a product that is read where it is: element (r, k) is
 * data[r * row_stride + k / k_block * block_stride + k % k_block * k_stride]; row_stride or k_stride is 1. */
typedef struct {
    const void *data;
    ptrdiff_t row_stride, k_stride, k_block, block_stride;
} Factor;

/* What becomes of a gradient. state_per_row: Adagrad keeps one mean square a row instead of one square an element. */
enum { RULE_ADD, RULE_SGD, RULE_ADAGRAD };
typedef struct {
    int kind, state_per_row;
    double learning_rate, epsilon, alpha;
} Rule;

/* Classes that may not be among the k best of row i: class_ids[indptr[i] : indptr[i + 1]], ascending; indptr NULL: none. */
typedef struct {
    const ptrdiff_t *indptr;
    const int64_t *class_ids;
} Excluded;

enum { STRIP_BYTES = 128 }; /* of adjacent classes that csr_impl.h takes at a time: a strip */

#define ROWOPS_FIELDS_TILES(real)                                                                                     \
    ptrdiff_t panel_width; /* of batches of more rows than half of it */                                             \
    /* out[i, j] <- block[i, j] for i < n_rows, j < n_cols; out is C contiguous */                                    \
    void (*gather_block)(const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, real *out);                          \
    /* out[i, :] (+)= sum over entries e of row i of data[e] * dense[row(e), :], row(e) = ids ? ids[indices[e]] : indices[e] */ \
    void (*spmm)(const ptrdiff_t *indptr, const int32_t *indices, const real *data, ptrdiff_t n_rows,                 \
                 const real *dense, ptrdiff_t dense_stride, const int64_t *ids, ptrdiff_t n_cols,                     \
                 real *out, ptrdiff_t out_stride, int accumulate);                                                    \
    /* gemm_impl.h: c[p][r, :] (+)= init[r] + sum_k a(r, k) b[p][k, :] for r < n_rows, all panels p; init may be NULL */ \
    void (*multiply)(const Factor *a, ptrdiff_t n_rows, ptrdiff_t n_k, const Panels *b, const real *init,             \
                     const Panels *c, ptrdiff_t c_row_stride, int add);                                               \
    /* panels_impl.h: out[p][k, l] <- a(p * width + l, k), zero from n_rows on */                                     \
    void (*pack_panels)(const real *a, ptrdiff_t row_stride, ptrdiff_t k_stride, ptrdiff_t n_rows, ptrdiff_t n_k,     \
                        const Panels *out);                                                                           \
    /* out[i, k] <- panels[i / width][k, i % width] for i < n_rows */                                                 \
    void (*unpack_panels)(const Panels *panels, ptrdiff_t n_rows, ptrdiff_t n_k, real *out, ptrdiff_t out_stride);    \
    /* A step of a running log-sum-exp, for each row: max <- the largest so far, z <- exp(z + offset - shift),        \
     * sum <- sum of exp(. - shift) so far, where shift is max, or 0 while that is -inf. offset, by class, may be     \
     * NULL, and so may shift_out. */                                                                                 \
    void (*exp_panels)(const Panels *z, ptrdiff_t n_classes, const real *offset, real *max_io, real *shift_out,       \
                       double *sum_io);                                                                               \
    /* sum += the sum over classes of weight softplus(z + offset), and z <- weight sigmoid(z + offset); weight and offset  \
     * by class, offset may be NULL, the sum by row */                                                                \
    void (*logistic_panels)(const Panels *z, ptrdiff_t n_classes, const real *offset, const real *weight,             \
                            double *sum_io);                                                                          \
    /* z <- scale z - prior_scale prior, 0 where scale is; scales by row, prior by class or NULL */                                \
    void (*scale_panels)(const Panels *z, ptrdiff_t n_classes, const real *scale, const real *prior_scale,            \
                         const real *prior);                                                                          \
    /* sums_out[c] <- sum over rows i < n_rows of z(c, i) */                                                          \
    void (*sum_panels)(const Panels *z, ptrdiff_t n_classes, ptrdiff_t n_rows, real *sums_out);                       \
    /* rounding_impl.h: the entries (class, row, value) of a tile z whose rounded probability is not zero, ratio z =       \
     * 2^31 p / threshold. value = scale z where p >= threshold, else unit; row_keys, ratio, scale and unit by row. Returns \
     * their number; -1 where more than `most` are expected, there is no room for them, or something is NaN. */        \
    ptrdiff_t (*round_panels)(const Panels *z, ptrdiff_t n_classes, int64_t first_class, const uint32_t *row_keys,    \
                              const real *ratio, const real *scale, const real *unit, ptrdiff_t most,                 \
                              ptrdiff_t capacity, int32_t *classes_out, int32_t *rows_out, real *values_out);         \
    /* block <- rule(block, grad); the rows of grad (n_rows, n_cols) are grad_stride apart, and it may be changed;    \
     * state: one value a row, or laid out as block */                                                                \
    void (*update_block)(const Rule *rule, const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, real *grad,        \
                         ptrdiff_t grad_stride, real *state);                                                         \
    /* parts[0:n] <- the sum over parts p, in order, of parts[p * part_stride + (0:n)] */                              \
    void (*sum_parts)(real *parts, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t n);                            \
    /* csr_impl.h: out (n_rows, STRIP) <- columns start to start + n_cols <= STRIP of weights; zeros beyond */        \
    void (*pack_strip)(const Block *weights, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t n_cols, real *out);         \
    /* z(c, i) += sum over entries e of row i of data[e] * packed[indices[e], c], for c < n_cols <= STRIP */          \
    void (*csr_logits)(const ptrdiff_t *indptr, const int32_t *indices, const real *data, ptrdiff_t n_rows,           \
                       const real *packed, ptrdiff_t n_cols, const Panels *z);                                        \
    /* columns start to start + n_cols of weights, and their state, take the rule's step with the gradient            \
     * [f, j] = sum over entries e of column f of data[e] * dz[rows[e], j]; stride: a multiple of STRIP, >= n_cols */ \
    void (*csr_step)(const Rule *rule, const Block *weights, real *state, ptrdiff_t start, const ptrdiff_t *indptr,   \
                     const int32_t *rows, const real *data, ptrdiff_t n_features, const real *dz, ptrdiff_t stride,   \
                     ptrdiff_t n_cols);                                                                               \
    /* topk_impl.h: heaps <- the best of theirs and of classes first_id to first_id + n_classes of z; `listed`: of these   \
     * n_classes alone, ascending, or NULL */                                                                         \
    void (*topk_panels)(const Panels *z, ptrdiff_t n_classes, ptrdiff_t n_rows, int64_t first_id,                     \
                        const int64_t *listed, const Excluded *excluded, ptrdiff_t k, real *values, int64_t *ids);    \
    void (*topk_merge)(real *values, int64_t *ids, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t k);

#endif
