# The C leaf loops over tiles of logits, CSR batches and parameter blocks, by fused type.
from libc.stdint cimport int32_t, int64_t, uint32_t

from shared.fused cimport real


cdef extern from "shared/table.h":
    ctypedef struct Block:
        void *data
        const int64_t *row_ids
        const int64_t *col_ids
        Py_ssize_t row_stride
        Py_ssize_t col_stride

    ctypedef struct Panels:
        void *data
        Py_ssize_t width
        Py_ssize_t stride
        Py_ssize_t n_panels

    ctypedef struct Factor:
        const void *data
        Py_ssize_t row_stride
        Py_ssize_t k_stride
        Py_ssize_t k_block
        Py_ssize_t block_stride

    ctypedef struct Excluded:
        const Py_ssize_t *indptr
        const int64_t *class_ids

    enum: RULE_ADD, RULE_SGD, RULE_ADAGRAD, STRIP_BYTES

    ctypedef struct Rule:
        int kind
        int state_per_row
        double learning_rate
        double epsilon
        double alpha

    Py_ssize_t f32_panel_width "rowops->f32.panel_width"
    Py_ssize_t f64_panel_width "rowops->f64.panel_width"
    void f32_multiply "rowops->f32.multiply"(
        const Factor *, Py_ssize_t, Py_ssize_t, const Panels *, const float *, const Panels *, Py_ssize_t, int) noexcept nogil
    void f64_multiply "rowops->f64.multiply"(
        const Factor *, Py_ssize_t, Py_ssize_t, const Panels *, const double *, const Panels *, Py_ssize_t,
        int) noexcept nogil
    void f32_pack_panels "rowops->f32.pack_panels"(
        const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const Panels *) noexcept nogil
    void f64_pack_panels "rowops->f64.pack_panels"(
        const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const Panels *) noexcept nogil
    void f32_unpack_panels "rowops->f32.unpack_panels"(
        const Panels *, Py_ssize_t, Py_ssize_t, float *, Py_ssize_t) noexcept nogil
    void f64_unpack_panels "rowops->f64.unpack_panels"(
        const Panels *, Py_ssize_t, Py_ssize_t, double *, Py_ssize_t) noexcept nogil
    void f32_exp_panels "rowops->f32.exp_panels"(
        const Panels *, Py_ssize_t, const float *, float *, float *, double *) noexcept nogil
    void f64_exp_panels "rowops->f64.exp_panels"(
        const Panels *, Py_ssize_t, const double *, double *, double *, double *) noexcept nogil
    void f32_logistic_panels "rowops->f32.logistic_panels"(
        const Panels *, Py_ssize_t, const float *, const float *, double *) noexcept nogil
    void f64_logistic_panels "rowops->f64.logistic_panels"(
        const Panels *, Py_ssize_t, const double *, const double *, double *) noexcept nogil
    void f32_scale_panels "rowops->f32.scale_panels"(
        const Panels *, Py_ssize_t, const float *, const float *, const float *) noexcept nogil
    void f64_scale_panels "rowops->f64.scale_panels"(
        const Panels *, Py_ssize_t, const double *, const double *, const double *) noexcept nogil
    void f32_sum_panels "rowops->f32.sum_panels"(const Panels *, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_sum_panels "rowops->f64.sum_panels"(const Panels *, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    Py_ssize_t f32_round_panels "rowops->f32.round_panels"(
        const Panels *, Py_ssize_t, int64_t, const uint32_t *, const float *, const float *, const float *, Py_ssize_t,
        Py_ssize_t, int32_t *, int32_t *, float *) noexcept nogil
    Py_ssize_t f64_round_panels "rowops->f64.round_panels"(
        const Panels *, Py_ssize_t, int64_t, const uint32_t *, const double *, const double *, const double *, Py_ssize_t,
        Py_ssize_t, int32_t *, int32_t *, double *) noexcept nogil
    void f32_topk_panels "rowops->f32.topk_panels"(
        const Panels *, Py_ssize_t, Py_ssize_t, int64_t, const int64_t *, const Excluded *, Py_ssize_t, float *,
        int64_t *) noexcept nogil
    void f64_topk_panels "rowops->f64.topk_panels"(
        const Panels *, Py_ssize_t, Py_ssize_t, int64_t, const int64_t *, const Excluded *, Py_ssize_t, double *,
        int64_t *) noexcept nogil
    void f32_update_block "rowops->f32.update_block"(
        const Rule *, const Block *, Py_ssize_t, Py_ssize_t, float *, Py_ssize_t, float *) noexcept nogil
    void f64_update_block "rowops->f64.update_block"(
        const Rule *, const Block *, Py_ssize_t, Py_ssize_t, double *, Py_ssize_t, double *) noexcept nogil
    void f32_pack_strip "rowops->f32.pack_strip"(
        const Block *, Py_ssize_t, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_pack_strip "rowops->f64.pack_strip"(
        const Block *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    void f32_csr_logits "rowops->f32.csr_logits"(
        const Py_ssize_t *, const int32_t *, const float *, Py_ssize_t, const float *, Py_ssize_t, const
        Panels *) noexcept nogil
    void f64_csr_logits "rowops->f64.csr_logits"(
        const Py_ssize_t *, const int32_t *, const double *, Py_ssize_t, const double *, Py_ssize_t,
        const Panels *) noexcept nogil
    void f32_csr_step "rowops->f32.csr_step"(
        const Rule *, const Block *, float *, Py_ssize_t, const Py_ssize_t *, const int32_t *, const
        float *, Py_ssize_t, const float *, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f64_csr_step "rowops->f64.csr_step"(
        const Rule *, const Block *, double *, Py_ssize_t, const Py_ssize_t *, const int32_t *, const
        double *, Py_ssize_t, const double *, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f32_gather_block "rowops->f32.gather_block"(const Block *, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_gather_block "rowops->f64.gather_block"(const Block *, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    void f32_spmm "rowops->f32.spmm"(
        const Py_ssize_t *, const int32_t *, const float *, Py_ssize_t, const float *, Py_ssize_t, const int64_t *,
        Py_ssize_t, float *, Py_ssize_t, int) noexcept nogil
    void f64_spmm "rowops->f64.spmm"(
        const Py_ssize_t *, const int32_t *, const double *, Py_ssize_t, const double *, Py_ssize_t, const int64_t *,
        Py_ssize_t, double *, Py_ssize_t, int) noexcept nogil
    void f32_sum_parts "rowops->f32.sum_parts"(float *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f64_sum_parts "rowops->f64.sum_parts"(double *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f32_topk_merge "rowops->f32.topk_merge"(float *, int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f64_topk_merge "rowops->f64.topk_merge"(double *, int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil


cdef inline Py_ssize_t panel_width(Py_ssize_t n_rows, Py_ssize_t itemsize) noexcept nogil:
    """Width of the panels for `n_rows` rows: half of the full one where that is enough."""
    cdef Py_ssize_t full = f32_panel_width if itemsize == 4 else f64_panel_width
    return full // 2 if n_rows <= full // 2 else full


cdef inline void gather_block(const Block *block, Py_ssize_t n_rows, Py_ssize_t n_cols, real *out) noexcept nogil:
    if real is float:
        f32_gather_block(block, n_rows, n_cols, out)
    else:
        f64_gather_block(block, n_rows, n_cols, out)


cdef inline void spmm(
    const Py_ssize_t *indptr, const int32_t *indices, const real *data, Py_ssize_t n_rows, const real *dense,
    Py_ssize_t dense_stride, const int64_t *ids, Py_ssize_t n_cols, real *out, Py_ssize_t out_stride, int accumulate
) noexcept nogil:
    if real is float:
        f32_spmm(indptr, indices, data, n_rows, dense, dense_stride, ids, n_cols, out, out_stride, accumulate)
    else:
        f64_spmm(indptr, indices, data, n_rows, dense, dense_stride, ids, n_cols, out, out_stride, accumulate)


cdef inline void sum_parts(real *parts, Py_ssize_t n_parts, Py_ssize_t part_stride, Py_ssize_t n) noexcept nogil:
    if real is float:
        f32_sum_parts(parts, n_parts, part_stride, n)
    else:
        f64_sum_parts(parts, n_parts, part_stride, n)


cdef inline void topk_merge(
    real *values, int64_t *ids, Py_ssize_t n_parts, Py_ssize_t part_stride, Py_ssize_t k
) noexcept nogil:
    if real is float:
        f32_topk_merge(values, ids, n_parts, part_stride, k)
    else:
        f64_topk_merge(values, ids, n_parts, part_stride, k)


cdef inline void multiply(
    const Factor *a, Py_ssize_t n_rows, Py_ssize_t n_k, const Panels *b, const real *init, const Panels *c,
    Py_ssize_t c_row_stride, int add
) noexcept nogil:
    if real is float:
        f32_multiply(a, n_rows, n_k, b, init, c, c_row_stride, add)
    else:
        f64_multiply(a, n_rows, n_k, b, init, c, c_row_stride, add)


cdef inline void pack_panels(
    const real *a, Py_ssize_t row_stride, Py_ssize_t k_stride, Py_ssize_t n_rows, Py_ssize_t n_k, const Panels
    *out
) noexcept nogil:
    if real is float:
        f32_pack_panels(a, row_stride, k_stride, n_rows, n_k, out)
    else:
        f64_pack_panels(a, row_stride, k_stride, n_rows, n_k, out)


cdef inline void unpack_panels(
    const Panels *panels, Py_ssize_t n_rows, Py_ssize_t n_k, real *out, Py_ssize_t out_stride
) noexcept nogil:
    if real is float:
        f32_unpack_panels(panels, n_rows, n_k, out, out_stride)
    else:
        f64_unpack_panels(panels, n_rows, n_k, out, out_stride)


cdef inline void exp_panels(
    const Panels *z, Py_ssize_t n_classes, const real *offset, real *max_io, real *shift_out, double *sum_io
) noexcept nogil:
    if real is float:
        f32_exp_panels(z, n_classes, offset, max_io, shift_out, sum_io)
    else:
        f64_exp_panels(z, n_classes, offset, max_io, shift_out, sum_io)


cdef inline void logistic_panels(
    const Panels *z, Py_ssize_t n_classes, const real *offset, const real *weight, double *sum_io
) noexcept nogil:
    if real is float:
        f32_logistic_panels(z, n_classes, offset, weight, sum_io)
    else:
        f64_logistic_panels(z, n_classes, offset, weight, sum_io)


cdef inline void scale_panels(
    const Panels *z, Py_ssize_t n_classes, const real *scale, const real *prior_scale, const real *prior
) noexcept nogil:
    if real is float:
        f32_scale_panels(z, n_classes, scale, prior_scale, prior)
    else:
        f64_scale_panels(z, n_classes, scale, prior_scale, prior)


cdef inline void sum_panels(const Panels *z, Py_ssize_t n_classes, Py_ssize_t n_rows, real *sums_out) noexcept nogil:
    if real is float:
        f32_sum_panels(z, n_classes, n_rows, sums_out)
    else:
        f64_sum_panels(z, n_classes, n_rows, sums_out)


cdef inline Py_ssize_t round_panels(
    const Panels *z, Py_ssize_t n_classes, int64_t first_class, const uint32_t *row_keys, const real *ratio,
    const real *scale, const real *unit, Py_ssize_t most, Py_ssize_t capacity, int32_t *classes, int32_t *rows, real *values
) noexcept nogil:
    if real is float:
        return f32_round_panels(
            z, n_classes, first_class, row_keys, ratio, scale, unit, most, capacity, classes, rows, values)
    else:
        return f64_round_panels(
            z, n_classes, first_class, row_keys, ratio, scale, unit, most, capacity, classes, rows, values)


cdef inline void topk_panels(
    const Panels *z, Py_ssize_t n_classes, Py_ssize_t n_rows, int64_t first_id, const int64_t *listed,
    const Excluded *excluded, Py_ssize_t k, real *values, int64_t *ids
) noexcept nogil:
    if real is float:
        f32_topk_panels(z, n_classes, n_rows, first_id, listed, excluded, k, values, ids)
    else:
        f64_topk_panels(z, n_classes, n_rows, first_id, listed, excluded, k, values, ids)


cdef inline void update_block(
    const Rule *rule, const Block *block, Py_ssize_t n_rows, Py_ssize_t n_cols, real *grad, Py_ssize_t grad_stride,
    real *state
) noexcept nogil:
    if real is float:
        f32_update_block(rule, block, n_rows, n_cols, grad, grad_stride, state)
    else:
        f64_update_block(rule, block, n_rows, n_cols, grad, grad_stride, state)


cdef inline void pack_strip(
    const Block *weights, Py_ssize_t start, Py_ssize_t n_rows, Py_ssize_t n_cols, real *out
) noexcept nogil:
    if real is float:
        f32_pack_strip(weights, start, n_rows, n_cols, out)
    else:
        f64_pack_strip(weights, start, n_rows, n_cols, out)


cdef inline void csr_logits(
    const Py_ssize_t *indptr, const int32_t *indices, const real *data, Py_ssize_t n_rows, const real *packed,
    Py_ssize_t n_cols, const Panels *z
) noexcept nogil:
    if real is float:
        f32_csr_logits(indptr, indices, data, n_rows, packed, n_cols, z)
    else:
        f64_csr_logits(indptr, indices, data, n_rows, packed, n_cols, z)


cdef inline void csr_step(
    const Rule *rule, const Block *weights, real *state, Py_ssize_t start, const Py_ssize_t *indptr,
    const int32_t *rows, const real *data, Py_ssize_t n_features, const real *dz, Py_ssize_t stride,
    Py_ssize_t n_cols
) noexcept nogil:
    if real is float:
        f32_csr_step(rule, weights, state, start, indptr, rows, data, n_features, dz, stride, n_cols)
    else:
        f64_csr_step(rule, weights, state, start, indptr, rows, data, n_features, dz, stride, n_cols)
