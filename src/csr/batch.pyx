"""Rows of a CSR matrix taken out as a batch: its features renumbered, its entries by row and by feature."""
from typing import NamedTuple

import numpy as np

from libc.stdint cimport int32_t, int64_t
from shared.fused cimport index, real

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *) noexcept nogil

cdef enum:
    AHEAD = 8       # rows whose memory is asked for before it is needed


class Batch(NamedTuple):
    """A block of rows of a CSR matrix, complete for the kernels.

    The features that occur in it are numbered 0, 1, ... by falling number of entries, so that a kernel packs and updates
    only those, and has those that it needs most side by side. Features with equally many entries come in order of
    their first occurrence.
    """

    indptr: np.ndarray  # (n_rows + 1,) intp
    indices: np.ndarray  # (n_entries,) int32, numbers within the batch
    data: np.ndarray  # (n_entries,)
    feature_ids: np.ndarray  # (n_local,) int64: column of X that each number stands for
    col_indptr: np.ndarray  # (n_local + 1,) intp: the same entries by feature, rows ascending
    rows: np.ndarray  # (n_entries,) int32
    col_data: np.ndarray  # (n_entries,)


class RowReader:
    """Takes batches out of CSR matrices of up to `n_features` columns. Keeps one int32 a feature to number those of a batch.

    It keeps the last batch, too: where several terms train on the same rows, the first takes them for all. So neither the
    array of rows nor the matrix may change in place.
    """

    def __init__(self, n_features):
        self.numbers = np.zeros(n_features, dtype=np.int32)
        self.taken, self.batch = (None,) * 4, None

    def take(self, indptr, indices, data, rows):
        """The Batch of rows `rows` (int64 array), in that order, of the CSR matrix (indptr, indices, data).

        Index arrays are both int32 or both int64, data is float32 or float64.
        """
        taken = indptr, indices, data, rows
        if not all([a is b for a, b in zip(taken, self.taken)]):
            self.batch = None  # its memory is free before that of the next is allocated
            self.batch, self.taken = self._take(indptr, indices, data, rows), taken
        return self.batch

    def _take(self, indptr, indices, data, rows):
        batch_indptr = _row_offsets(indptr, rows)
        n_entries = batch_indptr[rows.shape[0]]
        found = np.empty(min(n_entries, self.numbers.shape[0]) + 1, np.int64)
        features, values = np.empty(n_entries, indices.dtype), np.empty(n_entries, data.dtype)
        n_local = _gather(indptr, indices, data, rows, self.numbers, found, features, values)
        feature_ids, col_indptr = np.empty(n_local, np.int64), np.zeros(n_local + 1, np.intp)
        _number(found, self.numbers, feature_ids, col_indptr)
        numbers, by_col_rows, col_data = np.empty(n_entries, np.int32), np.empty(n_entries, np.int32), np.empty_like(values)
        _by_feature(batch_indptr, features, values, self.numbers, feature_ids, numbers, col_indptr, by_col_rows, col_data)
        return Batch(batch_indptr, numbers, values, feature_ids, col_indptr, by_col_rows, col_data)


def _row_offsets(const index[::1] indptr, const int64_t[::1] rows):
    cdef Py_ssize_t i, n_rows = rows.shape[0]
    offsets = np.empty(n_rows + 1, np.intp)
    cdef Py_ssize_t[::1] out = offsets
    out[0] = 0
    for i in range(n_rows):
        if i + AHEAD < n_rows:
            prefetch(&indptr[rows[i + AHEAD]])
        out[i + 1] = out[i] + <Py_ssize_t>(indptr[rows[i] + 1] - indptr[rows[i]])
    return offsets


def _gather(
    const index[::1] indptr, const index[::1] indices, const real[::1] data, const int64_t[::1] rows,
    int32_t[::1] counts,    # IN: all 0. OUT: entries of each feature
    int64_t[::1] found,     # OUT: the features with entries; it has room for one more
    index[::1] features_out, real[::1] data_out,
):
    """The entries row by row. The rows lie anywhere in memory: so they are asked for AHEAD rows early."""
    cdef Py_ssize_t i, e, at = 0, n_local = 0, n_rows = rows.shape[0]
    cdef index feature
    with nogil:
        for i in range(n_rows):
            if i + AHEAD < n_rows:
                e = <Py_ssize_t>indptr[rows[i + AHEAD]]
                if e < indices.shape[0]:    # else it has no entries
                    prefetch(&indices[e])
                    prefetch(&data[e])
            for e in range(<Py_ssize_t>indptr[rows[i]], <Py_ssize_t>indptr[rows[i] + 1]):
                feature = indices[e]
                features_out[at], data_out[at] = feature, data[e]
                found[n_local] = feature    # it stays if the feature is new: no branch, which would often be mispredicted
                n_local += counts[feature] == 0
                counts[feature] += 1
                at += 1
    return n_local


def _number(
    const int64_t[::1] found,
    int32_t[::1] numbers,           # IN: entries of each feature. OUT: its number
    int64_t[::1] feature_ids_out,
    Py_ssize_t[::1] col_indptr,     # IN: zeros. OUT: col_indptr[number + 1]: where the feature's entries start
):
    """Counting sort of the features by falling number of entries."""
    cdef Py_ssize_t i, count, most = 0, n_local = feature_ids_out.shape[0], at = 0
    for i in range(n_local):
        most = max(most, <Py_ssize_t>numbers[found[i]])
    cdef Py_ssize_t[::1] starts = np.zeros(most + 2, np.intp)
    with nogil:
        for i in range(n_local):
            starts[most - numbers[found[i]] + 1] += 1
        for count in range(1, most + 1):
            starts[count] += starts[count - 1]
        for i in range(n_local):
            count = numbers[found[i]]
            at = starts[most - count]
            starts[most - count] = at + 1
            feature_ids_out[at] = found[i]
            numbers[found[i]] = <int32_t>at
            if at + 2 <= n_local:
                col_indptr[at + 2] = count
        for i in range(2, n_local + 1):
            col_indptr[i] += col_indptr[i - 1]


def _by_feature(
    const Py_ssize_t[::1] indptr, const index[::1] features, const real[::1] data,     # of the batch
    int32_t[::1] numbers,           # OUT: all 0
    const int64_t[::1] feature_ids, int32_t[::1] indices_out,
    Py_ssize_t[::1] col_indptr,     # IN: as _number leaves it. OUT: complete
    int32_t[::1] rows_out, real[::1] col_data_out,
):
    """The numbers of the entries, and the same entries by feature."""
    cdef Py_ssize_t i, e, to
    cdef int32_t number
    with nogil:
        for i in range(indptr.shape[0] - 1):
            for e in range(indptr[i], indptr[i + 1]):
                number = numbers[features[e]]
                indices_out[e] = number
                to = col_indptr[number + 1]     # moves on to the end of the feature's entries: the next one's start
                rows_out[to] = <int32_t>i
                col_data_out[to] = data[e]
                col_indptr[number + 1] = to + 1
        for i in range(feature_ids.shape[0]):
            numbers[feature_ids[i]] = 0
