"""The logits of some classes of each row, computed one by one: those of its true classes, which are few."""

import numpy as np
from scipy import sparse

CHUNK_ELEMENTS = 1 << 21  # products of an x and a weight that are in memory at a time


def logits_of_classes(X, W, rows, class_ids):
    """x_i . w_k of each row i and class k of two arrays, float64; X is CSR rows or dense, W dense."""
    is_sparse = sparse.issparse(X)
    dots = _sparse_dots if is_sparse else _dense_dots
    per_pair = X.nnz // max(1, X.shape[0]) + 1 if is_sparse else X.shape[1] + 1
    step = max(1, CHUNK_ELEMENTS // per_pair)
    chunks = [slice(start, start + step) for start in range(0, len(rows), step)]
    return np.concatenate([np.zeros(0), *(dots(X, W, rows[at], class_ids[at]) for at in chunks)])


def _dense_dots(X, W, rows, class_ids):
    return np.einsum("ij,ij->i", X[rows], W[class_ids], dtype=np.float64)


def _sparse_dots(X, W, rows, class_ids):
    begin = X.indptr[rows]
    lengths = X.indptr[rows + 1] - begin
    pair = np.repeat(np.arange(len(rows)), lengths)
    entry = np.arange(len(pair)) + np.repeat(begin - (np.cumsum(lengths) - lengths), lengths)
    products = X.data[entry].astype(np.float64) * W[class_ids[pair], X.indices[entry]]
    return np.bincount(pair, weights=products, minlength=len(rows))
