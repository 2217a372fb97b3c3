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

/* Rows, CSR, for problems that each have rows of their own: see hard_negatives.h. */
typedef struct {
    const int64_t *indptr;
    const int32_t *indices;
    const void *data;           /* REAL */
    const void *weight;         /* (n_rows,) REAL: of the losses */
} HardRows;

typedef struct {
    const int32_t *positives, *negatives; /* rows, each once */
    ptrdiff_t n_positives, n_negatives;
    double positive_weight;     /* a factor of the weights of positives */
} HardClass;

enum { HARD_ROW_ARRAYS = 5, HARD_FEATURE_ARRAYS = 6 };

/* The memory of a thread, enough for each of the classes. REAL are the entries, one more than there are, HARD_ROW_ARRAYS of
 * row_stride elements, and HARD_FEATURE_ARRAYS of feature_stride, a multiple of a vector of 64 bytes. */
typedef struct {
    int32_t *places;            /* by feature of all rows: -1 before and after each class */
    int32_t *feature_ids;
    int64_t *starts;            /* one more than rows */
    int32_t *active;
    int32_t *entry_features;    /* one more than entries */
    void *entries, *rows, *features;
    ptrdiff_t row_stride, feature_stride;
} HardScratch;

#endif
