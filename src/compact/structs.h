/* Weights kept in few bits: see compact.h. */
#ifndef FASTSOFTMAX_COMPACT_STRUCTS_H
#define FASTSOFTMAX_COMPACT_STRUCTS_H

#include <stddef.h>

enum { COMPACT_NONE, COMPACT_FLOAT16, COMPACT_BFLOAT16, COMPACT_INT8 };

/* A matrix: element (i, j) is scale[i] * data[i * row_stride + j], in reals. Only int8 has scales; else NULL. */
typedef struct {
    const void *data, *scale;
    ptrdiff_t row_stride;
    int kind; /* COMPACT_NONE: there is no such matrix */
} Compact;

#endif
