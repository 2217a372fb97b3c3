/* Pairs (feature, class) that have a weight, and what the leaf loops over them take: see pairs.h. */
#ifndef FASTSOFTMAX_PAIRS_STRUCTS_H
#define FASTSOFTMAX_PAIRS_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

#include "rules/structs.h"

/* The weights of a batch's features. Feature f of the batch has the elements starts[f] to ends[f] of class_ids, all
 * different, of data, and of base, unless that is NULL: (bias, exp(bias - shift)) of the class. These copies lie where the
 * weights are read anyway, the biases themselves each somewhere in memory. */
typedef struct {
    const ptrdiff_t *starts, *ends;
    const int32_t *class_ids;
    const void *data, *base;
    const void *scale; /* reals by feature of the batch, where data holds int8 */
    int kind;          /* of what data holds, see compact/structs.h; COMPACT_NONE: reals */
} PairWeights;

/* Which classes a row has touched, and where they stand among them. A slot is of this row where that number, to which
 * *base is added, is >= *base, which only grows, so that nothing is cleared between rows; *base and the slots are 0 at first.
 * direct: a slot for every class. Otherwise a hash of n_slots = 2^(32 - shift) of them; which class a slot is of, the list of
 * touched classes says, so that a hash of the same bytes has twice as many slots and half as many collisions. */
typedef struct {
    int32_t *slots;
    int64_t *base;
    ptrdiff_t n_slots;
    int direct, shift;
} TouchTable;

/* The optimiser's step of the features of a batch, which is made piece by piece of their lists of classes. */
typedef struct {
    const Rule *rule;
    const ptrdiff_t *starts;     /* as in PairWeights */
    void *data, *state;          /* laid out alike */
    const ptrdiff_t *col_indptr; /* entries of X by feature */
    const int32_t *rows;
    const void *x;
    const ptrdiff_t *offsets;    /* where an entry's positions begin, one a class of its feature */
    const int32_t *positions;    /* of its classes among those that the row touched */
    const ptrdiff_t *row_ptr;    /* where a row's touched classes begin */
    const void *dlogits;         /* gradient of their logits */
} PairStep;

typedef struct {
    int32_t feature, length;
    ptrdiff_t begin;             /* within the feature's list */
} PairPiece;

enum { PIECE_CLASSES = 2048 };   /* of a piece at most: its gradient stays in L1 */

#endif
