"""CSR rows of ones."""

import numpy as np
from scipy.sparse import csr_matrix


def index_dtype(n_features, n_entries):
    """The smallest dtype for the indices of a CSR matrix."""
    return np.int32 if max(n_features, n_entries) <= np.iinfo(np.int32).max else np.int64


def rows_of_ones(indices, n_entries, n_features):
    """CSR rows of ones, canonical.

    Parameters
    ----------
    indices : integer array, shape (nnz,)
        The columns of all rows, one row after the other, ascending within a row.
    n_entries : integer array, shape (n_rows,)
        How many entries each row has.
    n_features : int

    Returns
    -------
    csr_matrix of float32, shape (n_rows, n_features)
    """
    dtype = index_dtype(n_features, len(indices))
    indptr = np.zeros(len(n_entries) + 1, dtype=dtype)
    np.cumsum(n_entries, out=indptr[1:])
    indices = indices.astype(dtype, copy=False)
    X = csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=(len(n_entries), n_features))
    X.has_canonical_format = True
    return X


def rows_of_columns(columns, n_rows, n_features):
    """CSR rows of ones, canonical: at most one entry a row from each of the arrays `columns`, where it is not -1.

    Parameters
    ----------
    columns : list of integer arrays, shape (n_rows,)
        The entries of a row ascend.
    n_rows, n_features : int

    Returns
    -------
    csr_matrix of float32, shape (n_rows, n_features)
    """
    n_entries = np.zeros(n_rows, dtype=np.int64)
    for column in columns:
        n_entries += column >= 0
    end = np.cumsum(n_entries)
    indices = np.empty(end[-1] if n_rows else 0, dtype=index_dtype(n_features, end[-1] if n_rows else 0))
    place = end - n_entries
    for column in columns:
        rows = np.flatnonzero(column >= 0)
        indices[place[rows]] = column[rows]
        place[rows] += 1
    return rows_of_ones(indices, n_entries, n_features)
