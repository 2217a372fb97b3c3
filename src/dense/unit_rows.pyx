"""Rows that are brought to one length, and the gradient on its way back: see unit_rows.h."""
from cython.parallel cimport prange
from libc.stdint cimport int64_t

from leaves.unit_rows cimport scale_rows as scale_block, scale_rows_back as scale_block_back
from shared.fused cimport real
from shared.table cimport import_leaves

import_leaves()

cdef enum:
    ROWS = 64  # that a thread takes at a time


def scale_rows(
    real[:, ::1] a,             # (n, size): all rows, or those of `ids`, are scaled
    const int64_t[::1] ids,     # row numbers without repeats, or None
    double norm,
    real[::1] factors_out,      # one for each row that is scaled, or None
    int n_threads,
):
    """Bring rows to the length `norm`; those of zeros stay, and have a factor of 0."""
    cdef Py_ssize_t i, at, n_rows = a.shape[0] if ids is None else ids.shape[0], size = a.shape[1]
    if n_rows == 0 or size == 0:
        return
    cdef const int64_t *numbers = NULL if ids is None else &ids[0]
    cdef real *factors = NULL if factors_out is None else &factors_out[0]
    for i in prange(0, n_rows, ROWS, num_threads=n_threads, nogil=True):
        at = i if numbers == NULL else 0
        scale_block(&a[at, 0], min(<Py_ssize_t>ROWS, n_rows - i), size, numbers + i if numbers != NULL else NULL, norm,
                    factors + i if factors != NULL else NULL)


def scale_rows_back(
    const real[:, ::1] scaled,  # (n, size)
    const real[::1] factors,    # (n,)
    double norm,
    real[:, ::1] gradient_out,  # (n, size)
    int n_threads,
):
    """Turn the gradient by the scaled rows into that by the rows before, in place."""
    cdef Py_ssize_t i, n_rows = scaled.shape[0], size = scaled.shape[1]
    if size == 0:
        return
    for i in prange(0, n_rows, ROWS, num_threads=n_threads, nogil=True):
        scale_block_back(&scaled[i, 0], &factors[i], min(<Py_ssize_t>ROWS, n_rows - i), size, norm, &gradient_out[i, 0])
