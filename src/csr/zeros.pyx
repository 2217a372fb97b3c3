"""Zeros in a large array, by several threads."""
from cython.parallel cimport prange
from libc.stdint cimport uint8_t
from libc.string cimport memset


def zero_rows(char[:, ::1] rows, const uint8_t[::1] chosen, int n_threads):
    """The bytes of all rows whose number is `chosen` become 0."""
    cdef Py_ssize_t i, n_bytes = rows.shape[1]
    for i in prange(rows.shape[0] if n_bytes else 0, num_threads=n_threads, nogil=True):
        if chosen[i]:
            memset(&rows[i, 0], 0, n_bytes)
