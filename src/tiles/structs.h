/* Blocks of parameters, panels of logits, and what else the leaf loops over tiles of logits take. */
#ifndef FASTSOFTMAX_TILES_STRUCTS_H
#define FASTSOFTMAX_TILES_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

/* A block of a matrix, by strides and, where ids are given, by chosen rows or columns:
 * element (i, j) is data[(row_ids ? row_ids[i] : i) * row_stride + (col_ids ? col_ids[j] : j) * col_stride]. */
typedef struct {
    void *data;
    const int64_t *row_ids, *col_ids;
    ptrdiff_t row_stride, col_stride;
} Block;

/* Panels: `n_panels` blocks, `stride` reals apart, of rows `width` reals long; see panels.h. */
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

/* Classes that may not be among the k best of row i: class_ids[indptr[i] : indptr[i + 1]], ascending; indptr NULL: none. */
typedef struct {
    const ptrdiff_t *indptr;
    const int64_t *class_ids;
} Excluded;

#endif
