"""The X, W and bias of linear models, dense or sparse."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_real_array, as_vector
from fastsoftmax.validation.scalars import REAL_DTYPES


def check_X(X, *, n_features=None, dtype=None, name="X", canonical=False):
    """`X` as a C-contiguous 2-D array or as CSR rows with valid indices, of `dtype` (default: its own), all finite.

    Duplicate and unsorted column indices are fine, since the kernels add entries up; with `canonical` there are none.
    """
    if sparse.issparse(X):
        X = check_csr(X, dtype, name)
        if canonical and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        values = X.data
    else:
        X = as_real_array(name, X)
        if X.ndim != 2:
            raise ValueError(f"{name} must be 2-D (n_samples, n_features), got {X.ndim}-D of shape {X.shape}")
        X = _contiguous(X, dtype)
        values = X.reshape(-1)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} has {X.shape[1]} features, but {n_features} are expected")
    at = _first_non_finite(values)
    if at is not None:
        row = int(np.searchsorted(X.indptr, at, side="right")) - 1 if sparse.issparse(X) else at // X.shape[1]
        column = int(X.indices[at]) if sparse.issparse(X) else at % X.shape[1]
        value = "NaN" if np.isnan(values[at]) else values[at]
        raise ValueError(f"{name} must be finite, got {value} in row {row}, column {column}")
    return X


def check_csr(X, dtype, name):
    """The sparse `X` as CSR with valid, contiguous arrays, of `dtype` (None: its own, or the nearest real dtype)."""
    if X.ndim != 2:
        raise ValueError(f"{name} must be 2-D (n_samples, n_features), got shape {X.shape}")
    if X.dtype.kind not in "biuf" or X.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold real numbers (float32 or float64), got a sparse matrix of {X.dtype}")
    X = X.tocsr()
    if dtype is None:
        dtype = X.dtype if X.dtype in REAL_DTYPES else (np.float32 if X.dtype == np.float16 else np.float64)
    indptr, indices = X.indptr, X.indices
    for array_name, a in (("indptr", indptr), ("indices", indices)):
        if a.dtype not in (np.int32, np.int64):
            raise TypeError(f"{name}.{array_name} must hold int32 or int64, got an array of {a.dtype}")
    if (
        indptr.shape != (X.shape[0] + 1,)
        or indptr[0] != 0
        or indptr[-1] > indices.shape[0]
        or (np.diff(indptr) < 0).any()
    ):
        raise ValueError(f"{name}.indptr does not describe {X.shape[0]} rows of {indices.shape[0]} entries")
    if indices.shape != X.data.shape:
        raise ValueError(f"{name}.indices has {indices.shape[0]} entries, but {name}.data {X.data.shape[0]}")
    if indices.size and (indices.min() < 0 or indices.max() >= X.shape[1]):
        bad = indices.min() if indices.min() < 0 else indices.max()
        raise ValueError(f"{name}.indices must be in [0, {X.shape[1]}), got {bad}")
    is_contiguous = all(a.flags.c_contiguous for a in (indptr, indices, X.data))
    if X.dtype == dtype and indptr.dtype == indices.dtype and is_contiguous:
        return X
    index_dtype = np.promote_types(indptr.dtype, indices.dtype)
    data = _contiguous(X.data, dtype)
    return type(X)(
        (data, np.ascontiguousarray(indices, index_dtype), np.ascontiguousarray(indptr, index_dtype)), shape=X.shape
    )


def check_W(W, *, name="W"):
    """`W` (n_classes, n_features) in float32 or float64 and any strides; it is copied only if it has to be converted."""
    W = np.require(as_real_array(name, W), requirements="A")
    if W.ndim != 2 or W.shape[0] < 1:
        raise ValueError(f"{name} must be 2-D (n_classes, n_features) with at least one class, got shape {W.shape}")
    return W


def check_sparse_W(W, *, name="W"):
    """The sparse `W`, whose stored elements are pairs, as CSC: float32 or float64, finite, with sorted, distinct class ids."""
    if W.ndim != 2 or not 1 <= W.shape[0] <= np.iinfo(np.int32).max:
        raise ValueError(f"{name} must be 2-D with 1 to 2**31 - 1 classes (n_classes, n_features), got shape {W.shape}")
    W = W.tocsc()
    by_feature = sparse.csr_array(W.shape[::-1], dtype=W.dtype)  # CSC is CSR of the transpose
    by_feature.data, by_feature.indices, by_feature.indptr = W.data, W.indices, W.indptr
    checked = check_csr(by_feature, None, name)
    W = sparse.csc_array((checked.data, checked.indices, checked.indptr), shape=W.shape)  # not known to be sorted
    if not W.has_canonical_format:
        W = W.copy()
        W.sum_duplicates()
    at = _first_non_finite(W.data[: W.indptr[-1]])
    if at is not None:
        feature = int(np.searchsorted(W.indptr, at, side="right")) - 1
        raise ValueError(f"{name} must be finite, got {W.data[at]} for class {W.indices[at]}, feature {feature}")
    return W


def check_bias(bias, n_classes, dtype, *, name="bias"):
    """`bias` as a contiguous (n_classes,) array of `dtype`, or None."""
    if bias is None:
        return None
    return np.ascontiguousarray(as_vector(name, bias, n_classes, "class"), dtype=dtype)


def _contiguous(a, dtype):
    """`a` in C order and `dtype`; a value beyond its range becomes infinite, which the check that follows reports."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(a, dtype=dtype)


def _first_non_finite(values):
    """The position of the first NaN or infinity in a flat array, or None."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):  # one pass without a temporary array settles nearly every case
            return None
    bad = np.flatnonzero(~np.isfinite(values))
    return int(bad[0]) if bad.size else None
