"""The classes that take part in a sampled loss: those drawn and the targets, each once and ascending.

Class and place are packed into one integer each, and NumPy sorts these, which is several times faster than numpy.unique with
its inverse. One pass over what is sorted then makes all arrays.
"""
import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t

from shared.fused cimport index


def unite(const int64_t[::1] drawn, const index[::1] target, const double[::1] log_expected):
    """The candidates of a batch.

    Parameters
    ----------
    drawn : (n_drawn,) classes, with repeats
    target : (n_targets,) classes
    log_expected : (n_drawn,) how often each of `drawn` was expected, as a logarithm; None: 0

    Returns
    -------
    class_ids : (n,) int64, ascending
    target : (n_targets,) int32, where each target is among them
    counts : (n,) float64, how often each was drawn
    offset : (n,) float64, minus its log_expected, of its last draw; -inf where it was not drawn
    """
    cdef Py_ssize_t i, place, at = -1, n_drawn = drawn.shape[0], n = n_drawn + target.shape[0]
    cdef int64_t low, last = -1
    cdef int bits = 0
    while n >> bits:
        bits += 1
    low = (<int64_t>1 << bits) - 1
    keys, class_ids, column = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(target.shape[0], np.int32)
    counts, offset = np.empty(n), np.empty(n)
    cdef int64_t[::1] key = keys, id_out = class_ids
    cdef int32_t[::1] column_out = column
    cdef double[::1] count_out = counts, offset_out = offset
    for i in range(n_drawn):
        key[i] = drawn[i] << bits | i
    for i in range(n_drawn, n):
        key[i] = <int64_t>target[i - n_drawn] << bits | i
    keys.sort()
    with nogil:
        for i in range(n):
            place = key[i] & low
            if key[i] >> bits != last:
                last = key[i] >> bits
                at = at + 1
                id_out[at], count_out[at], offset_out[at] = last, 0, -INFINITY
            if place < n_drawn:
                count_out[at] += 1
                offset_out[at] = 0 if log_expected is None else -log_expected[place]
            else:
                column_out[place - n_drawn] = <int32_t>at
    n = at + 1
    return class_ids[:n], column, counts[:n], offset[:n]
