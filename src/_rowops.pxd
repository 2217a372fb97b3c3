# The C leaf loops, by fused type. The only place with a float/double branch.
#
# A module that cimports this must call `import_rowops()` once, at its top level: `rowops` is a static pointer of each
# module, and all of them point at the one table that _rowops.pyx selected.
from cpython.pycapsule cimport PyCapsule_GetPointer

from _types cimport real


cdef extern from "rowops.h":
    ctypedef struct LseState:
        double max
        double ties
        double rest

    ctypedef struct RowOps:
        const char *name

    const RowOps *const *rowops_tables
    int rowops_supported(const RowOps *table) noexcept nogil
    RowOps *rowops

    void f32_lse_accumulate "rowops->f32.lse_accumulate"(const float *, Py_ssize_t, LseState *) noexcept nogil
    void f64_lse_accumulate "rowops->f64.lse_accumulate"(const double *, Py_ssize_t, LseState *) noexcept nogil
    void f32_exp_array "rowops->f32.exp_array"(const float *, Py_ssize_t, float *) noexcept nogil
    void f64_exp_array "rowops->f64.exp_array"(const double *, Py_ssize_t, double *) noexcept nogil


cdef inline int import_rowops() except -1:
    global rowops
    from fastsoftmax import _rowops

    rowops = <RowOps *>PyCapsule_GetPointer(_rowops.table, b"fastsoftmax.rowops")
    return 0


cdef inline void lse_accumulate(const real *x, Py_ssize_t n, LseState *state) noexcept nogil:
    if real is float:
        f32_lse_accumulate(x, n, state)
    else:
        f64_lse_accumulate(x, n, state)


cdef inline void exp_array(const real *x, Py_ssize_t n, real *y_out) noexcept nogil:
    if real is float:
        f32_exp_array(x, n, y_out)
    else:
        f64_exp_array(x, n, y_out)
