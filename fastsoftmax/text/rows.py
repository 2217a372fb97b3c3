"""CSR rows of ones."""

import numpy as np
from scipy.sparse import csr_matrix


def index_dtype(n_features, n_entries):
    return np.int32 if max(n_features, n_entries) <= np.iinfo(np.int32).max else np.int64


def rows_of_ones(indices, n_entries, n_features):
    """CSR of ones, float32: each row has the next n_entries of the indices, which ascend within it."""
    dtype = index_dtype(n_features, len(indices))
    indptr = np.zeros(len(n_entries) + 1, dtype=dtype)
    np.cumsum(n_entries, out=indptr[1:])
    indices = indices.astype(dtype, copy=False)
    X = csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=(len(n_entries), n_features))
    X.has_canonical_format = True
    return X
