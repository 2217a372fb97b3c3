"""Whether CSR rows are as the kernels need them, in one pass: what validation asks before it looks for what is wrong."""
from libc.math cimport isfinite

from shared.fused cimport index, real

cdef enum:
    SHORT = 8192    # entries that are looked at under the interpreter's lock: to release it and wait for it takes longer


def is_sound(const index[::1] indptr, const index[::1] indices, const real[::1] data, Py_ssize_t n_columns):
    """Whether indptr rises from 0 to the number of entries, columns are in range, and the values are finite."""
    cdef Py_ssize_t n_rows = indptr.shape[0] - 1, n_entries = data.shape[0]
    cdef bint is_fine
    if n_rows < 0 or indices.shape[0] != n_entries or indptr[0] != 0 or indptr[n_rows] != n_entries:
        return False
    cdef const index *columns = &indices[0] if n_entries else NULL
    cdef const real *values = &data[0] if n_entries else NULL
    if n_rows + n_entries <= SHORT:
        return rise(&indptr[0], n_rows) and are_good(columns, values, n_entries, n_columns)
    with nogil:
        is_fine = rise(&indptr[0], n_rows) and are_good(columns, values, n_entries, n_columns)
    return is_fine


cdef bint rise(const index *indptr, Py_ssize_t n_rows) noexcept nogil:
    cdef Py_ssize_t i
    cdef bint is_fine = True
    for i in range(n_rows):
        is_fine &= indptr[i] <= indptr[i + 1]
    return is_fine


cdef bint are_good(const index *indices, const real *data, Py_ssize_t n_entries, Py_ssize_t n_columns) noexcept nogil:
    cdef Py_ssize_t e
    cdef bint is_fine = True
    for e in range(n_entries):
        is_fine &= 0 <= indices[e] < n_columns and isfinite(data[e])
    return is_fine
