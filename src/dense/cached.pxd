# Softmax of lines that stay in cache, so that x comes from memory once.
from cython.parallel cimport threadid

from dense.lines cimport Layout, Unit, ceil_div, unit_of
from leaves.softmax cimport softmax_columns, softmax_rows
from shared.fused cimport real


cdef extern from "dense/structs.h":
    enum:
        SOFTMAX_COLUMN  # elements of a column that softmax_columns takes at most


cdef inline void cached_rows_task(const real *x, const Layout *lay, Py_ssize_t task, bint log, real *buffers,
                                  Py_ssize_t buffer_size, real *y_out) noexcept nogil:
    """With `buffers`, of `buffer_size` for each thread, y_out is written past the caches."""
    cdef Unit unit = unit_of(lay, task)
    if buffers != NULL:
        buffers += threadid() * buffer_size
    softmax_rows(x + unit.offset, unit.n_lines, lay.n, log, buffers, y_out + unit.offset)


cdef inline void cached_columns_task(const real *x, const Layout *lay, Py_ssize_t width, Py_ssize_t task, bint log,
                                     bint past, real *y_out) noexcept nogil:
    cdef Py_ssize_t n_blocks = ceil_div(lay.n_inner, width), column = task % n_blocks * width
    cdef Py_ssize_t offset = task // n_blocks * lay.n * lay.n_inner + column
    softmax_columns(x + offset, lay.n, lay.n_inner, min(width, lay.n_inner - column), log, past,
                    y_out + offset)


cdef inline void all_lines(const real *x, const Layout *lay, bint log, real *y_out) noexcept:
    cdef Py_ssize_t task
    if lay.n_inner > 1:
        for task in range(lay.n_outer):
            cached_columns_task(x, lay, lay.n_inner, task, log, False, y_out)
    else:
        for task in range(lay.n_units):
            cached_rows_task(x, lay, task, log, <real *>NULL, 0, y_out)
