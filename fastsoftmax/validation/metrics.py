"""Predictions, and what they are compared with."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_array, as_real_array, check_unmasked
from fastsoftmax.validation.labels import as_label_array
from fastsoftmax.validation.sparse_arrays import check_csr


def check_log_proba(name, log_proba):
    """`log_proba` as a non-empty 1-D real array without NaN and +inf; -inf stands for a probability of 0."""
    log_proba = as_real_array(name, log_proba)
    if log_proba.ndim != 1 or not len(log_proba):
        raise ValueError(f"{name} must have one dimension and at least one entry, got shape {log_proba.shape}")
    bad = ~(log_proba < np.inf)
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name} must not hold NaN or +inf, got {log_proba[i]} at index {i}")
    return log_proba


def check_true_labels(name, y):
    """One label a row as a 1-D array, or several a row as a canonical CSR indicator; there is at least one row."""
    check_unmasked(name, y)
    if _is_dense_indicator(y):
        y = sparse.csr_array(np.asarray(y) != 0)
    if sparse.issparse(y):
        y = check_csr(y, None, name).copy()
        y.sum_duplicates()
        y.eliminate_zeros()
    else:
        y = as_label_array(y)
        if y.dtype.kind == "O" and all(isinstance(label, str) for label in y.flat):
            y = y.astype(str)
        if y.ndim != 1:
            raise ValueError(f"{name} must have one dimension or be a sparse indicator, got shape {y.shape}")
    if not y.shape[0]:
        raise ValueError(f"{name} must have at least one row, got none")
    return y


def _is_dense_indicator(y):
    if sparse.issparse(y):
        return False
    y = as_label_array(y)
    return y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all())


def check_evaluated_rows(X):
    """The rows to evaluate, whatever the model takes: CSR, or an array of at least one dimension."""
    X = check_csr(X, None, "X") if sparse.issparse(X) else as_array("X", X)
    if not X.ndim:
        raise ValueError(f"X must have a row for each label, got {X!r}")
    return X


def check_topk(name, topk, y, *, min_columns):
    """The predicted labels of each row as a 2-D array that can be compared with the checked true labels `y`."""
    topk = as_array(name, topk)
    if topk.ndim != 2 or topk.shape[1] < min_columns:
        raise ValueError(f"{name} must have two dimensions and at least {min_columns} columns, got shape {topk.shape}")
    check_same_length(name, topk, "y", y)
    if sparse.issparse(y):
        if topk.dtype.kind not in "iu":
            raise TypeError(f"{name} must hold column indices of the indicator y, got an array of {topk.dtype}")
        if topk.size and not (topk.min() >= -1 and topk.max() < y.shape[1]):
            bad = topk[(topk < -1) | (topk >= y.shape[1])][0]
            raise ValueError(f"{name} must hold column indices of y in [0, {y.shape[1]}), or -1 as padding, got {bad}")
        return topk.astype(np.int64, copy=False)
    kinds = {topk.dtype.kind, y.dtype.kind}
    if "U" in kinds and not kinds <= {"U", "O"}:
        raise TypeError(f"{name} and y must hold labels of the same kind, got arrays of {topk.dtype} and {y.dtype}")
    return topk


def check_same_length(name, a, other_name, other):
    """Raise unless the two arrays have as many rows."""
    if a.shape[0] != other.shape[0]:
        raise ValueError(f"{name} must have as many rows as {other_name}, got {a.shape[0]} and {other.shape[0]}")
