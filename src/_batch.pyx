"""Rows of a CSR matrix taken out as a batch: its features renumbered, its entries by row and by feature."""
from typing import NamedTuple

import numpy as np

from libc.stdint cimport int32_t, int64_t
from _types cimport index, real


class Batch(NamedTuple):
    """A block of rows of a CSR matrix, complete for the kernels.

    The features that occur in it are numbered 0, 1, ... in the order of their first occurrence, so that a kernel packs and
    updates only those.
    """

    indptr: np.ndarray  # (n_rows + 1,) intp
    indices: np.ndarray  # (n_entries,) int32, numbers within the batch
    data: np.ndarray  # (n_entries,)
    feature_ids: np.ndarray  # (n_local,) int64: column of X that each number stands for
    col_indptr: np.ndarray  # (n_local + 1,) intp: the same entries by feature, rows ascending
    rows: np.ndarray  # (n_entries,) int32
    col_data: np.ndarray  # (n_entries,)


class RowReader:
    """Takes batches out of CSR matrices of `n_features` columns. Keeps one int32 a feature to number those of a batch."""

    def __init__(self, n_features):
        self.numbers = np.full(n_features, -1, dtype=np.int32)

    def take(self, indptr, indices, data, rows):
        """The Batch of rows `rows` (int64 array), in that order, of the CSR matrix (indptr, indices, data).

        Index arrays are both int32 or both int64, data is float32 or float64.
        """
        batch_indptr = _row_offsets(indptr, rows)
        n_entries = batch_indptr[rows.shape[0]]
        numbers, values = np.empty(n_entries, np.int32), np.empty(n_entries, data.dtype)
        feature_ids = np.empty(min(n_entries, self.numbers.shape[0]), np.int64)
        n_local = _number(indptr, indices, data, rows, self.numbers, numbers, values, feature_ids)
        col_indptr = np.zeros(n_local + 1, np.intp)
        by_col_rows, col_data = np.empty(n_entries, np.int32), np.empty(n_entries, data.dtype)
        _transpose(batch_indptr, numbers, values, col_indptr, by_col_rows, col_data)
        return Batch(batch_indptr, numbers, values, feature_ids[:n_local], col_indptr, by_col_rows, col_data)


def _row_offsets(const index[::1] indptr, const int64_t[::1] rows):
    offsets = np.zeros(rows.shape[0] + 1, np.intp)
    cdef Py_ssize_t[::1] out = offsets
    cdef Py_ssize_t i
    for i in range(rows.shape[0]):
        out[i + 1] = out[i] + <Py_ssize_t>(indptr[rows[i] + 1] - indptr[rows[i]])
    return offsets


def _number(
    const index[::1] indptr, const index[::1] indices, const real[::1] data, const int64_t[::1] rows,
    int32_t[::1] numbers,  # IN: all -1. OUT: all -1
    int32_t[::1] indices_out, real[::1] data_out, int64_t[::1] feature_ids_out,
):
    cdef Py_ssize_t i, e, at = 0
    cdef int32_t n_local = 0, number
    with nogil:
        for i in range(rows.shape[0]):
            for e in range(<Py_ssize_t>indptr[rows[i]], <Py_ssize_t>indptr[rows[i] + 1]):
                number = numbers[indices[e]]
                if number < 0:
                    number = n_local
                    numbers[indices[e]] = number
                    feature_ids_out[n_local] = indices[e]
                    n_local += 1
                indices_out[at] = number
                data_out[at] = data[e]
                at += 1
        for i in range(n_local):
            numbers[feature_ids_out[i]] = -1
    return n_local


def _transpose(
    const Py_ssize_t[::1] indptr, const int32_t[::1] indices, const real[::1] data,
    Py_ssize_t[::1] col_indptr,  # IN: zeros
    int32_t[::1] rows_out, real[::1] col_data_out,
):
    """Counting sort of the entries by column, rows ascending within a column."""
    cdef Py_ssize_t i, e, at, n_local = col_indptr.shape[0] - 1
    with nogil:
        for e in range(indices.shape[0]):
            col_indptr[indices[e] + 1] += 1
        for i in range(n_local):
            col_indptr[i + 1] += col_indptr[i]
        for i in range(indptr.shape[0] - 1):
            for e in range(indptr[i], indptr[i + 1]):
                at = col_indptr[indices[e]]
                rows_out[at] = <int32_t>i
                col_data_out[at] = data[e]
                col_indptr[indices[e]] = at + 1
        # each entry moved its column's offset to the column's end: the next one's start
        for i in range(n_local, 0, -1):
            col_indptr[i] = col_indptr[i - 1]
        if n_local:
            col_indptr[0] = 0
