# The C leaf loops, by fused type. The only place with a float/double branch.
#
# A module that cimports this must call `import_rowops()` once, at its top level: `rowops` is a static pointer of each
# module, and all of them point at the one table that _rowops.pyx selected.
from cpython.pycapsule cimport PyCapsule_GetPointer

from shared.fused cimport real


cdef extern from "shared/table.h":
    ctypedef struct LseState:
        double max
        double ties
        double rest

    const LseState EMPTY_LSE
    void lse_merge(LseState *state, const LseState *other) noexcept nogil
    double lse_log_mass(const LseState *state) noexcept nogil

    enum:
        SOFTMAX_ROWS

    ctypedef struct RowOps:
        const char *name

    const RowOps *const *rowops_tables
    int rowops_supported(const RowOps *table) noexcept nogil
    RowOps *rowops

    void lse_log_masses "rowops->lse_log_masses"(const LseState *, Py_ssize_t, double *) noexcept nogil
    void f32_lse_rows "rowops->f32.lse_rows"(const float *, const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                             LseState *) noexcept nogil
    void f64_lse_rows "rowops->f64.lse_rows"(const double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                             LseState *) noexcept nogil
    void f32_lse_columns "rowops->f32.lse_columns"(const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                                   LseState *) noexcept nogil
    void f64_lse_columns "rowops->f64.lse_columns"(const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                                   LseState *) noexcept nogil
    void f32_normalize_rows "rowops->f32.normalize_rows"(const float *, Py_ssize_t, Py_ssize_t, const float *,
                                                         const float *, bint, bint, float *) noexcept nogil
    void f64_normalize_rows "rowops->f64.normalize_rows"(const double *, Py_ssize_t, Py_ssize_t, const double *,
                                                         const double *, bint, bint, double *) noexcept nogil
    void f32_normalize_columns "rowops->f32.normalize_columns"(const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                                               const float *, const float *, bint,
                                                               float *) noexcept nogil
    void f64_normalize_columns "rowops->f64.normalize_columns"(const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                                               const double *, const double *, bint,
                                                               double *) noexcept nogil
    void f32_softmax_rows "rowops->f32.softmax_rows"(const float *, Py_ssize_t, Py_ssize_t, bint,
                                                     float *) noexcept nogil
    void f64_softmax_rows "rowops->f64.softmax_rows"(const double *, Py_ssize_t, Py_ssize_t, bint,
                                                     double *) noexcept nogil
    void f32_softmax_columns "rowops->f32.softmax_columns"(const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, bint,
                                                           float *) noexcept nogil
    void f64_softmax_columns "rowops->f64.softmax_columns"(const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, bint,
                                                           double *) noexcept nogil
    double f32_soft_target_loss "rowops->f32.soft_target_loss"(const float *, const float *, Py_ssize_t,
                                                               float) noexcept nogil
    double f64_soft_target_loss "rowops->f64.soft_target_loss"(const double *, const double *, Py_ssize_t,
                                                               double) noexcept nogil
    void f32_subtract_scaled "rowops->f32.subtract_scaled"(const float *, Py_ssize_t, float, float *) noexcept nogil
    void f64_subtract_scaled "rowops->f64.subtract_scaled"(const double *, Py_ssize_t, double, double *) noexcept nogil
    void f32_exp_array "rowops->f32.exp_array"(const float *, Py_ssize_t, float *) noexcept nogil
    void f64_exp_array "rowops->f64.exp_array"(const double *, Py_ssize_t, double *) noexcept nogil


cdef inline int import_rowops() except -1:
    global rowops
    from fastsoftmax.kernels import dispatch

    rowops = <RowOps *>PyCapsule_GetPointer(dispatch.table, b"fastsoftmax.rowops")
    return 0


cdef inline void lse_rows(const real *x, const real *b, Py_ssize_t b_stride, Py_ssize_t n_rows, Py_ssize_t n,
                          LseState *states) noexcept nogil:
    if real is float:
        f32_lse_rows(x, b, b_stride, n_rows, n, states)
    else:
        f64_lse_rows(x, b, b_stride, n_rows, n, states)


cdef inline void lse_columns(const real *x, Py_ssize_t n_rows, Py_ssize_t stride, Py_ssize_t n_columns,
                             LseState *states) noexcept nogil:
    if real is float:
        f32_lse_columns(x, n_rows, stride, n_columns, states)
    else:
        f64_lse_columns(x, n_rows, stride, n_columns, states)


cdef inline void normalize_rows(const real *x, Py_ssize_t n_rows, Py_ssize_t n, const real *shift, const real *coef,
                                bint log, bint past, real *y_out) noexcept nogil:
    if real is float:
        f32_normalize_rows(x, n_rows, n, shift, coef, log, past, y_out)
    else:
        f64_normalize_rows(x, n_rows, n, shift, coef, log, past, y_out)


cdef inline void normalize_columns(const real *x, Py_ssize_t n_rows, Py_ssize_t stride, Py_ssize_t n_columns,
                                   const real *shift, const real *coef, bint log, real *y_out) noexcept nogil:
    if real is float:
        f32_normalize_columns(x, n_rows, stride, n_columns, shift, coef, log, y_out)
    else:
        f64_normalize_columns(x, n_rows, stride, n_columns, shift, coef, log, y_out)


cdef inline void softmax_rows(const real *x, Py_ssize_t n_rows, Py_ssize_t n, bint log, real *y_out) noexcept nogil:
    if real is float:
        f32_softmax_rows(x, n_rows, n, log, y_out)
    else:
        f64_softmax_rows(x, n_rows, n, log, y_out)


cdef inline void softmax_columns(const real *x, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t n_columns, bint log,
                                 real *y_out) noexcept nogil:
    if real is float:
        f32_softmax_columns(x, n, stride, n_columns, log, y_out)
    else:
        f64_softmax_columns(x, n, stride, n_columns, log, y_out)


cdef inline double soft_target_loss(const real *x, const real *t, Py_ssize_t n, real shift) noexcept nogil:
    if real is float:
        return f32_soft_target_loss(x, t, n, shift)
    else:
        return f64_soft_target_loss(x, t, n, shift)


cdef inline void subtract_scaled(const real *t, Py_ssize_t n, real scale, real *y_out) noexcept nogil:
    if real is float:
        f32_subtract_scaled(t, n, scale, y_out)
    else:
        f64_subtract_scaled(t, n, scale, y_out)


cdef inline void exp_array(const real *x, Py_ssize_t n, real *y_out) noexcept nogil:
    if real is float:
        f32_exp_array(x, n, y_out)
    else:
        f64_exp_array(x, n, y_out)
