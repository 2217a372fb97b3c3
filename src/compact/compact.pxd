# Weights kept in few bits, by fused type of what they are widened to: see compact_impl.h.
from libc.stdint cimport int32_t, int64_t
cimport numpy as cnp

from tiles.tileops cimport Panels
from shared.fused cimport real


cdef extern from "shared/table.h":
    enum: COMPACT_NONE, COMPACT_FLOAT16, COMPACT_BFLOAT16, COMPACT_INT8

    ctypedef struct Compact:
        const void *data
        const void *scale
        Py_ssize_t row_stride
        int kind

    Py_ssize_t f32_compact_scratch "rowops->f32.compact_scratch"(Py_ssize_t) noexcept nogil
    Py_ssize_t f64_compact_scratch "rowops->f64.compact_scratch"(Py_ssize_t) noexcept nogil
    void f32_compact_logits "rowops->f32.compact_logits"(
        const Compact *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const Panels *, Py_ssize_t, const float *, const Panels *,
        float *) noexcept nogil
    void f64_compact_logits "rowops->f64.compact_logits"(
        const Compact *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const Panels *, Py_ssize_t, const double *, const Panels *,
        double *) noexcept nogil
    void f32_compact_spmm "rowops->f32.compact_spmm"(
        const Py_ssize_t *, const int32_t *, const float *, Py_ssize_t, const Compact *, const int64_t *, Py_ssize_t,
        float *, Py_ssize_t) noexcept nogil
    void f64_compact_spmm "rowops->f64.compact_spmm"(
        const Py_ssize_t *, const int32_t *, const double *, Py_ssize_t, const Compact *, const int64_t *, Py_ssize_t,
        double *, Py_ssize_t) noexcept nogil
    void f32_compact_strip "rowops->f32.compact_strip"(
        const Compact *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_compact_strip "rowops->f64.compact_strip"(
        const Compact *, const int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *) noexcept nogil


cdef inline Compact read_compact(a) except *:
    """The C view of a fastsoftmax._compact.CompactMatrix or CompactPairs, whose arrays must outlive it; of others, none."""
    cdef Compact c
    cdef cnp.ndarray data, scale
    c.data, c.scale, c.row_stride, c.kind = NULL, NULL, 0, COMPACT_NONE
    if a is None or isinstance(a, cnp.ndarray):
        return c
    data, scale = a.data, a.scale
    c.data = cnp.PyArray_DATA(data)
    c.scale = NULL if scale is None else cnp.PyArray_DATA(scale)
    c.row_stride = data.shape[1] if data.ndim == 2 else 0
    c.kind = {"float16": COMPACT_FLOAT16, "bfloat16": COMPACT_BFLOAT16, "int8": COMPACT_INT8}[a.storage]
    return c


cdef inline Py_ssize_t compact_scratch(Py_ssize_t n_k, Py_ssize_t itemsize) noexcept nogil:
    return f32_compact_scratch(n_k) if itemsize == 4 else f64_compact_scratch(n_k)


cdef inline void compact_logits(
    const Compact *a, Py_ssize_t first, Py_ssize_t n_classes, Py_ssize_t n_k, const Panels *b, Py_ssize_t n_rows,
    const real *init, const Panels *z, real *scratch
) noexcept nogil:
    if real is float:
        f32_compact_logits(a, first, n_classes, n_k, b, n_rows, init, z, scratch)
    else:
        f64_compact_logits(a, first, n_classes, n_k, b, n_rows, init, z, scratch)


cdef inline void compact_spmm(
    const Py_ssize_t *indptr, const int32_t *indices, const real *data, Py_ssize_t n_rows, const Compact *a,
    const int64_t *ids, Py_ssize_t n_cols, real *out, Py_ssize_t out_stride
) noexcept nogil:
    if real is float:
        f32_compact_spmm(indptr, indices, data, n_rows, a, ids, n_cols, out, out_stride)
    else:
        f64_compact_spmm(indptr, indices, data, n_rows, a, ids, n_cols, out, out_stride)


cdef inline void compact_strip(
    const Compact *a, const int64_t *row_ids, Py_ssize_t start, Py_ssize_t n_rows, Py_ssize_t n_cols, real *out
) noexcept nogil:
    if real is float:
        f32_compact_strip(a, row_ids, start, n_rows, n_cols, out)
    else:
        f64_compact_strip(a, row_ids, start, n_rows, n_cols, out)
