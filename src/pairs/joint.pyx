"""The head of a sampled softmax: classes of each row that take part with certainty, and their low-rank logits.

The rest of its classes, the tail, is estimated by a sample that all rows share: there each row masks its own head.
"""
from cython.parallel cimport prange
from libc.math cimport INFINITY
from libc.stdint cimport int32_t
cimport numpy as cnp

from leaves cimport add_dots
from shared.fused cimport real
from shared.table cimport import_leaves

cnp.import_array()
import_leaves()

cdef enum:
    ROWS = 2    # that a thread takes at a time: the heads differ in size


def add_low_rank(
    const Py_ssize_t[::1] begin, const Py_ssize_t[::1] end, const int32_t[::1] class_ids,   # as in _additions.Additions
    const real[:, ::1] hidden,      # (n_rows, n_hidden)
    const real[:, ::1] V,           # (n_classes, n_hidden)
    const real[::1] bias,           # (n_classes,)
    real[::1] logits,               # of the classes in `class_ids`; += bias + hidden . V
    int n_threads,
):
    cdef Py_ssize_t i, n_rows = hidden.shape[0], d = hidden.shape[1]
    for i in prange(n_rows, schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        add_dots(&class_ids[begin[i]], end[i] - begin[i], &hidden[i, 0], &V[0, 0], d, d, &bias[0], &logits[begin[i]])


def mask(
    const Py_ssize_t[::1] begin, const Py_ssize_t[::1] end, const int32_t[::1] class_ids,
    const int32_t[::1] column_of,   # (n_classes,) number of each class among the candidates, -1: none
    Py_ssize_t[::1] end_out, int32_t[::1] columns_out, real[::1] values_out,    # OUT, with `begin`: Additions of -inf
    int n_threads,
):
    """Masks, for each row, the candidates that are among its classes."""
    cdef Py_ssize_t i, n_rows = begin.shape[0]
    for i in prange(n_rows, schedule='dynamic', chunksize=ROWS, num_threads=n_threads, nogil=True):
        end_out[i] = mask_row(begin[i], end[i], &class_ids[0], &column_of[0], &columns_out[0], &values_out[0])


cdef Py_ssize_t mask_row(
    Py_ssize_t begin, Py_ssize_t end, const int32_t *class_ids, const int32_t *column_of, int32_t *columns, real *values
) noexcept nogil:
    cdef Py_ssize_t e, at = begin
    for e in range(begin, end):
        columns[at] = column_of[class_ids[e]]
        if columns[at] >= 0:
            values[at] = -INFINITY
            at += 1
    return at
