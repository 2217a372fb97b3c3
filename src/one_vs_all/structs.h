/* What the leaf loops over one-vs-all problems share with their callers. */
#ifndef FASTSOFTMAX_ONE_VS_ALL_STRUCTS_H
#define FASTSOFTMAX_ONE_VS_ALL_STRUCTS_H

enum { BINARY_LOGISTIC, BINARY_SQUARED_HINGE };
enum { MAX_PROBLEMS = 64 }; /* side by side: an index of X is loaded once for four vectors of 64 bytes */

/* A block of problems that have their rows in common: element (i, k) of its arrays, `width` elements a row, is of row i and
 * problem k. The labels are 1 at the positives and -1 everywhere else. `width` is a multiple of a vector of 64 bytes, and at
 * most MAX_PROBLEMS. */
typedef struct {
    ptrdiff_t n_rows, width;
    const int64_t *indptr;      /* row i has the positives problems[indptr[i]:indptr[i + 1]], each once */
    const int32_t *problems;
    const void *row_weight;     /* (n_rows,) REAL */
    const void *positive_weight; /* (width,) REAL: factors of the weights of positives */
} BinaryBlock;

#endif
