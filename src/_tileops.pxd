# The C leaf loops over tiles of logits, CSR batches and parameter blocks, by fused type; and GEMM in row-major terms.
from libc.stdint cimport int32_t, int64_t
from scipy.linalg.cython_blas cimport dgemm, sgemm

from _types cimport real


cdef extern from "rowops.h":
    ctypedef struct Block:
        void *data
        const int64_t *row_ids
        const int64_t *col_ids
        Py_ssize_t row_stride
        Py_ssize_t col_stride

    enum: RULE_ADD, RULE_SGD, RULE_ADAGRAD, PANEL_BYTES

    ctypedef struct Rule:
        int kind
        int state_per_row
        double learning_rate
        double epsilon
        double alpha

    void f32_gather_block "rowops->f32.gather_block"(const Block *, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_gather_block "rowops->f64.gather_block"(const Block *, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    void f32_fill_rows "rowops->f32.fill_rows"(const float *, Py_ssize_t, Py_ssize_t, float *, Py_ssize_t) noexcept nogil
    void f64_fill_rows "rowops->f64.fill_rows"(const double *, Py_ssize_t, Py_ssize_t, double *, Py_ssize_t) noexcept nogil
    void f32_spmm "rowops->f32.spmm"(
        const Py_ssize_t *, const int32_t *, const float *, Py_ssize_t, const float *, Py_ssize_t, const int64_t *,
        Py_ssize_t, float *, Py_ssize_t, int) noexcept nogil
    void f64_spmm "rowops->f64.spmm"(
        const Py_ssize_t *, const int32_t *, const double *, Py_ssize_t, const double *, Py_ssize_t, const int64_t *,
        Py_ssize_t, double *, Py_ssize_t, int) noexcept nogil
    void f32_exp_rows "rowops->f32.exp_rows"(
        float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const float *, double *, double *) noexcept nogil
    void f64_exp_rows "rowops->f64.exp_rows"(
        double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, double *, double *) noexcept nogil
    void f32_scale_rows "rowops->f32.scale_rows"(
        float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, const double *, const float *) noexcept nogil
    void f64_scale_rows "rowops->f64.scale_rows"(
        double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, const double *, const double *) noexcept nogil
    void f32_sum_columns "rowops->f32.sum_columns"(const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_sum_columns "rowops->f64.sum_columns"(
        const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    void f32_update_block "rowops->f32.update_block"(
        const Rule *, const Block *, Py_ssize_t, Py_ssize_t, float *, float *) noexcept nogil
    void f64_update_block "rowops->f64.update_block"(
        const Rule *, const Block *, Py_ssize_t, Py_ssize_t, double *, double *) noexcept nogil
    void f32_sum_parts "rowops->f32.sum_parts"(const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f64_sum_parts "rowops->f64.sum_parts"(const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    void f32_pack_panel "rowops->f32.pack_panel"(
        const Block *, Py_ssize_t, Py_ssize_t, Py_ssize_t, float *) noexcept nogil
    void f32_csr_rows "rowops->f32.csr_rows"(
        const Py_ssize_t *, const int32_t *, const float *, Py_ssize_t, const float *, Py_ssize_t, float *,
        Py_ssize_t) noexcept nogil
    void f32_csr_step "rowops->f32.csr_step"(
        const Rule *, const Block *, float *, Py_ssize_t, const Py_ssize_t *, const int32_t *, const float *, Py_ssize_t,
        const float *, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f64_pack_panel "rowops->f64.pack_panel"(
        const Block *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *) noexcept nogil
    void f64_csr_rows "rowops->f64.csr_rows"(
        const Py_ssize_t *, const int32_t *, const double *, Py_ssize_t, const double *, Py_ssize_t, double *,
        Py_ssize_t) noexcept nogil
    void f64_csr_step "rowops->f64.csr_step"(
        const Rule *, const Block *, double *, Py_ssize_t, const Py_ssize_t *, const int32_t *, const double *, Py_ssize_t,
        const double *, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f32_topk_rows "rowops->f32.topk_rows"(
        const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int64_t, Py_ssize_t, float *, int64_t *) noexcept nogil
    void f64_topk_rows "rowops->f64.topk_rows"(
        const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int64_t, Py_ssize_t, double *, int64_t *) noexcept nogil
    void f32_topk_merge "rowops->f32.topk_merge"(float *, int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    void f64_topk_merge "rowops->f64.topk_merge"(double *, int64_t *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil


cdef inline void gather_block(const Block *block, Py_ssize_t n_rows, Py_ssize_t n_cols, real *out) noexcept nogil:
    if real is float:
        f32_gather_block(block, n_rows, n_cols, out)
    else:
        f64_gather_block(block, n_rows, n_cols, out)


cdef inline void fill_rows(
    const real *bias, Py_ssize_t n_rows, Py_ssize_t n_cols, real *out, Py_ssize_t stride
) noexcept nogil:
    if real is float:
        f32_fill_rows(bias, n_rows, n_cols, out, stride)
    else:
        f64_fill_rows(bias, n_rows, n_cols, out, stride)


cdef inline void spmm(
    const Py_ssize_t *indptr, const int32_t *indices, const real *data, Py_ssize_t n_rows, const real *dense,
    Py_ssize_t dense_stride, const int64_t *ids, Py_ssize_t n_cols, real *out, Py_ssize_t out_stride, int accumulate
) noexcept nogil:
    if real is float:
        f32_spmm(indptr, indices, data, n_rows, dense, dense_stride, ids, n_cols, out, out_stride, accumulate)
    else:
        f64_spmm(indptr, indices, data, n_rows, dense, dense_stride, ids, n_cols, out, out_stride, accumulate)


cdef inline void exp_rows(
    real *z, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t stride, const real *offset, double *max_out, double *sum_out
) noexcept nogil:
    if real is float:
        f32_exp_rows(z, n_rows, n_cols, stride, offset, max_out, sum_out)
    else:
        f64_exp_rows(z, n_rows, n_cols, stride, offset, max_out, sum_out)


cdef inline void scale_rows(
    real *z, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t stride, const double *scale, const double *prior_scale,
    const real *prior
) noexcept nogil:
    if real is float:
        f32_scale_rows(z, n_rows, n_cols, stride, scale, prior_scale, prior)
    else:
        f64_scale_rows(z, n_rows, n_cols, stride, scale, prior_scale, prior)


cdef inline void sum_columns(
    const real *z, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t stride, real *sums
) noexcept nogil:
    if real is float:
        f32_sum_columns(z, n_rows, n_cols, stride, sums)
    else:
        f64_sum_columns(z, n_rows, n_cols, stride, sums)


cdef inline void update_block(
    const Rule *rule, const Block *block, Py_ssize_t n_rows, Py_ssize_t n_cols, real *grad, real *state
) noexcept nogil:
    if real is float:
        f32_update_block(rule, block, n_rows, n_cols, grad, state)
    else:
        f64_update_block(rule, block, n_rows, n_cols, grad, state)


cdef inline void sum_parts(
    const real *parts, Py_ssize_t n_parts, Py_ssize_t part_stride, Py_ssize_t n, real *sum_out
) noexcept nogil:
    if real is float:
        f32_sum_parts(parts, n_parts, part_stride, n, sum_out)
    else:
        f64_sum_parts(parts, n_parts, part_stride, n, sum_out)


cdef inline void pack_panel(
    const Block *weights, Py_ssize_t start, Py_ssize_t n_rows, Py_ssize_t n_cols, real *out
) noexcept nogil:
    if real is float:
        f32_pack_panel(weights, start, n_rows, n_cols, out)
    else:
        f64_pack_panel(weights, start, n_rows, n_cols, out)


cdef inline void csr_rows(
    const Py_ssize_t *indptr, const int32_t *indices, const real *data, Py_ssize_t n_rows, const real *packed,
    Py_ssize_t n_cols, real *z, Py_ssize_t stride
) noexcept nogil:
    if real is float:
        f32_csr_rows(indptr, indices, data, n_rows, packed, n_cols, z, stride)
    else:
        f64_csr_rows(indptr, indices, data, n_rows, packed, n_cols, z, stride)


cdef inline void csr_step(
    const Rule *rule, const Block *weights, real *state, Py_ssize_t start, const Py_ssize_t *indptr, const int32_t *rows,
    const real *data, Py_ssize_t n_features, const real *dz, Py_ssize_t stride, Py_ssize_t n_cols
) noexcept nogil:
    if real is float:
        f32_csr_step(rule, weights, state, start, indptr, rows, data, n_features, dz, stride, n_cols)
    else:
        f64_csr_step(rule, weights, state, start, indptr, rows, data, n_features, dz, stride, n_cols)


cdef inline void topk_rows(
    const real *z, Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t stride, int64_t first_id, Py_ssize_t k, real *values,
    int64_t *ids
) noexcept nogil:
    if real is float:
        f32_topk_rows(z, n_rows, n_cols, stride, first_id, k, values, ids)
    else:
        f64_topk_rows(z, n_rows, n_cols, stride, first_id, k, values, ids)


cdef inline void topk_merge(
    real *values, int64_t *ids, Py_ssize_t n_parts, Py_ssize_t part_stride, Py_ssize_t k
) noexcept nogil:
    if real is float:
        f32_topk_merge(values, ids, n_parts, part_stride, k)
    else:
        f64_topk_merge(values, ids, n_parts, part_stride, k)


cdef inline void gemm(
    bint trans_a, bint trans_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const real *a, Py_ssize_t lda,
    const real *b, Py_ssize_t ldb, real beta, real *c, Py_ssize_t ldc
) noexcept nogil:
    """c (m, n) <- op(a) (m, k) op(b) (k, n) + beta c, all row-major with row strides lda, ldb, ldc.

    BLAS is column-major: there the same memory holds the transposes, and c^T = op(b)^T op(a)^T.
    """
    cdef int m_ = <int>m, n_ = <int>n, k_ = <int>k, lda_ = <int>lda, ldb_ = <int>ldb, ldc_ = <int>ldc
    cdef char ta = b'T' if trans_a else b'N', tb = b'T' if trans_b else b'N'
    cdef real one = 1
    if m == 0 or n == 0:
        return
    if real is float:
        sgemm(&tb, &ta, &n_, &m_, &k_, &one, <float *>b, &ldb_, <float *>a, &lda_, &beta, c, &ldc_)
    else:
        dgemm(&tb, &ta, &n_, &m_, &k_, &one, <double *>b, &ldb_, <double *>a, &lda_, &beta, c, &ldc_)
