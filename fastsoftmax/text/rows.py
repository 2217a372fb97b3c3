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
