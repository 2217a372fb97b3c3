/* The leaf loops of a sparse direct term: part of the table in rowops.h. See support_impl.h. */
#ifndef FASTSOFTMAX_SUPPORT_H
#define FASTSOFTMAX_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "compact/structs.h"
#include "tiles/structs.h"

/* The weights of a batch's features. Feature f of the batch has the elements starts[f] to ends[f] of class_ids, all
 * different, of data, and of base, unless that is NULL: (bias, exp(bias - shift)) of the class. These copies lie where the
 * weights are read anyway, the biases themselves each somewhere in memory. */
typedef struct {
    const ptrdiff_t *starts, *ends;
    const int32_t *class_ids;
    const void *data, *base;
    const void *scale; /* reals by feature of the batch, where data holds int8 */
    int kind;          /* of what data holds, see compact.h; COMPACT_NONE: reals */
} SupportWeights;

/* Which classes a row has touched, and where they stand among them. A slot is of this row where that number, to which
 * *base is added, is >= *base, which only grows, so that nothing is cleared between rows; *base and the slots are 0 at first.
 * direct: an int32 for every class. Otherwise a hash of n_slots, a power of two, which hold the class too, in the lower half;
 * shift is their logarithm. */
typedef struct {
    int64_t *slots, *base;
    ptrdiff_t n_slots;
    int direct, shift;
} TouchTable;

/* The optimiser's step of the features of a batch, piece by piece of their lists of classes */
typedef struct {
    const Rule *rule;
    const ptrdiff_t *starts;     /* as in SupportWeights */
    void *data, *state;          /* laid out alike */
    const ptrdiff_t *col_indptr; /* entries of X by feature */
    const int32_t *rows;
    const void *x;
    const ptrdiff_t *offsets;    /* where an entry's positions begin, one a class of its feature */
    const int32_t *positions;    /* of its classes among those that the row touched */
    const ptrdiff_t *row_ptr;    /* where a row's touched classes begin */
    const void *dlogits;         /* gradient of their logits */
} SupportStep;

typedef struct {
    int32_t feature, length;
    ptrdiff_t begin;             /* within the feature's list */
} SupportPiece;

enum { SUPPORT_PIECE = 2048 };   /* classes of a piece at most: its gradient stays in L1 */

#define ROWOPS_FIELDS_SUPPORT(real)                                                                                   \
    /* A row's touched classes in order of first touch, the target first unless it is < 0; sums_out[p] <- x . w of them; \
     * positions_out[...] <- p of every element of the row's features, unless NULL. There is room for `capacity` of them, \
     * one more than there can be. base_of holds bias and exp(bias - shift) of each class; bases_out <- the same of the   \
     * touched ones, where `weights` has them; else they are fetched into a cache. Returns their number. */           \
    ptrdiff_t (*touch)(const SupportWeights *weights, const int32_t *features, const real *x, ptrdiff_t n_entries,    \
                       int32_t target, const real *base_of, const TouchTable *table, ptrdiff_t capacity,              \
                       int32_t *touched_out, real *sums_out, int32_t *positions_out, real *bases_out);                \
    /* z += bias, where base_of holds bias and exp(bias - shift) of each class, or of each of the n if `touched` is NULL; \
     * returns the sum of the latter */                                                                               \
    double (*add_bias)(const int32_t *touched, ptrdiff_t n, const real *base_of, real *z);                            \
    double (*write_base)(const real *bias, ptrdiff_t n, double shift, real *base_out);                                \
    /* z[e] += bias[ids[e]] + x . V[ids[e], :n_hidden], rows of V v_stride apart */                                    \
    void (*add_dots)(const int32_t *ids, ptrdiff_t n, const real *x, const real *V, ptrdiff_t v_stride,                \
                     ptrdiff_t n_hidden, const real *bias, real *z);                                                  \
    /* z <- exp(z - max); returns their sum, and the largest z, or 0 if that is -inf */                                       \
    double (*exp_touched)(real *z, ptrdiff_t n, double *max_out);                                                     \
    /* z <- scale z - prior_scale prior[touched], prior may be NULL */                                                \
    void (*scale_touched)(real *z, const int32_t *touched, ptrdiff_t n, double scale, double prior_scale,             \
                          const real *prior);                                                                         \
    void (*support_step)(const SupportStep *step, const SupportPiece *pieces, ptrdiff_t n_pieces, real *grad);        \
    /* exp(x - shift) of n elements, to out unless NULL; returns their sum. x <= shift + 1. */                          \
    double (*exp_wide)(const real *x, ptrdiff_t n, double shift, double *out);                                        \
    /* out <- dlogits + prior_scale prior[touched], less scale exp(bias[touched] - lse) where lse >= bias - 1 */      \
    void (*untouch_bias)(const int32_t *touched, ptrdiff_t n, const real *bias, const real *dlogits, double scale,    \
                         double lse, double prior_scale, const real *prior, double *out);                             \
    /* The heap (values, ids) of the k best of a row, from its touched classes and those of `ranked`, n_ranked classes by  \
     * falling bias, that it has not touched, but for those excluded for `row`; best first. is_listed: of each class,     \
     * whether it may be taken where it is touched, or NULL; `ranked` then holds no others. */                          \
    void (*topk_touched)(const int32_t *touched, const real *z, ptrdiff_t n, const TouchTable *table,                 \
                         const int32_t *ranked, ptrdiff_t n_ranked, const real *bias, const uint8_t *is_listed,       \
                         const Excluded *excluded, ptrdiff_t row, ptrdiff_t k, real *values, int64_t *ids);

#endif
