/* The leaf loops over weights kept in few bits: part of the table in rowops.h. See compact_impl.h. */
#ifndef FASTSOFTMAX_COMPACT_H
#define FASTSOFTMAX_COMPACT_H

#include <stddef.h>
#include <stdint.h>

#include "tiles/structs.h"

enum { COMPACT_NONE, COMPACT_FLOAT16, COMPACT_BFLOAT16, COMPACT_INT8 };

/* A matrix: element (i, j) is scale[i] * data[i * row_stride + j], in reals. Only int8 has scales; else NULL. */
typedef struct {
    const void *data, *scale;
    ptrdiff_t row_stride;
    int kind; /* COMPACT_NONE: there is no such matrix */
} Compact;

#define ROWOPS_FIELDS_COMPACT(real)                                                                                   \
    /* reals of scratch that compact_logits needs */                                                                  \
    ptrdiff_t (*compact_scratch)(ptrdiff_t n_k);                                                                      \
    /* z(c, i) <- init[c] + a(first + c) . b(i) for c < n_classes and n_rows rows in panels; init may be NULL */       \
    void (*compact_logits)(const Compact *a, ptrdiff_t first, ptrdiff_t n_classes, ptrdiff_t n_k, const Panels *b,    \
                           ptrdiff_t n_rows, const real *init, const Panels *z, real *scratch);                       \
    /* as spmm and pack_strip, of a compact matrix */                                                                 \
    void (*compact_spmm)(const ptrdiff_t *indptr, const int32_t *indices, const real *data, ptrdiff_t n_rows,         \
                         const Compact *a, const int64_t *ids, ptrdiff_t n_cols, real *out, ptrdiff_t out_stride);    \
    void (*compact_strip)(const Compact *a, const int64_t *row_ids, ptrdiff_t start, ptrdiff_t n_rows,                \
                          ptrdiff_t n_cols, real *out);

#endif
