"""Whether CSR rows are as the kernels need them, in one pass: what validation asks before it looks for what is wrong."""
from libc.math cimport isfinite

from shared.fused cimport index, real


def is_sound(const index[::1] indptr, const index[::1] indices, const real[::1] data, Py_ssize_t n_columns):
    """Whether indptr rises from 0 to the number of entries or less, columns are in range, and the values are finite."""
    cdef Py_ssize_t i, e, n_rows = indptr.shape[0] - 1, n_entries
    cdef bint is_fine
    if n_rows < 0 or indices.shape[0] != data.shape[0] or indptr[0] != 0 or indptr[n_rows] != data.shape[0]:
        return False
    n_entries = data.shape[0]
    with nogil:
        is_fine = True
        for i in range(n_rows):
            is_fine &= indptr[i] <= indptr[i + 1]
        for e in range(n_entries):
            is_fine &= 0 <= indices[e] < n_columns and isfinite(data[e])
    return is_fine
