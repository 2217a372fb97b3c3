"""Predictions, and what they are compared with."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_array, as_real_array, check_unmasked
from fastsoftmax.validation.classes import encode_labels, padding
from fastsoftmax.validation.label_lists import check_label_lists
from fastsoftmax.validation.labels import are_label_lists, as_label_array, check_labels, family
from fastsoftmax.validation.scalars import check_int
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
    """The true labels of each row; there is at least one row.

    Returns
    -------
    y : one label a row as a 1-D array, or several a row as a canonical CSR indicator
    names : what the columns of this indicator are called, ascending; None: by their numbers
    """
    check_unmasked(name, y)
    names = None
    if not sparse.issparse(y):
        y = as_label_array(y)
        if are_label_lists(y):
            names, y = _named_indicator(name, y)
        elif _is_dense_indicator(y):
            y = sparse.csr_array(y)
    if sparse.issparse(y):
        y = check_csr(y, None, name).copy()
        y.sum_duplicates()
        y.eliminate_zeros()
    elif y.ndim != 1:
        raise ValueError(f"{name} must have one dimension or be a sparse indicator, got shape {y.shape}")
    if not y.shape[0]:
        raise ValueError(f"{name} must have at least one row, got none")
    return y, names


def _named_indicator(name, y):
    """The distinct labels, and an indicator of those of each row, which may have none."""
    lists, counted = check_label_lists(y, name=name)
    names, indicator = lists.learn(name=name)
    if counted is not None:
        indptr = np.concatenate([[0], np.cumsum(counted * 1)])
        rows = sparse.csr_array(
            (np.ones(counted.sum()), np.arange(counted.sum()), indptr), shape=(len(y), counted.sum())
        )
        indicator = rows @ indicator
    return names, indicator


def _is_dense_indicator(y):
    return y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all())


def check_evaluated_rows(X):
    """The rows to evaluate, whatever the model takes: CSR, or an array of at least one dimension."""
    X = check_csr(X, None, "X") if sparse.issparse(X) else as_array("X", X)
    if not X.ndim:
        raise ValueError(f"X must have a row for each label, got {X!r}")
    return X


def check_depths(name, ks):
    """The depths of ranking metrics as a list of different ints, ascending."""
    if isinstance(ks, (str, bytes)) or not np.iterable(ks):
        raise TypeError(f"{name} must be a sequence of integers, got {ks!r}")
    ks = sorted({check_int(name, k, minimum=1) for k in ks})
    if not ks:
        raise ValueError(f"{name} must name at least one depth, got none")
    return ks


def check_topk(name, topk, y, names=None, *, min_columns):
    """The predicted labels of each row as a 2-D array that can be compared with `y` as `check_true_labels` returns it.

    Where several labels a row have `names`, it holds their columns, and -1 for other labels.
    """
    topk = as_array(name, topk)
    if topk.ndim != 2 or topk.shape[1] < min_columns:
        raise ValueError(f"{name} must have two dimensions and at least {min_columns} columns, got shape {topk.shape}")
    check_same_length(name, topk, "y", y)
    _check_no_repeats(name, topk)
    if names is not None:
        return _columns(name, topk, names)
    if sparse.issparse(y):
        if topk.dtype.kind not in "iu":
            raise TypeError(f"{name} must hold column indices of the indicator y, got an array of {topk.dtype}")
        if topk.size and not (topk.min() >= -1 and topk.max() < y.shape[1]):
            bad = topk[(topk < -1) | (topk >= y.shape[1])][0]
            raise ValueError(f"{name} must hold column indices of y in [0, {y.shape[1]}), or -1 as padding, got {bad}")
        return topk.astype(np.int64, copy=False)
    kinds = {family(topk.reshape(-1)), family(y)}
    if len(kinds) > 1 and kinds != {"bools", "integers"} and "objects" not in kinds:
        raise TypeError(f"{name} and y must hold labels of the same kind, got {' and '.join(sorted(kinds))}")
    return topk


def _check_no_repeats(name, topk):
    """Raise if a row names a label twice: what is found once would count twice. Only padding may be repeated."""
    if topk.dtype.kind == "O":
        pads = {None, -1}
        bad = next(
            (
                i
                for i, row in enumerate(topk.tolist())
                if len(set(row) - pads) + sum(map(pads.__contains__, row)) < len(row)
            ),
            None,
        )
    else:
        ordered = np.sort(topk, axis=1)
        repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != padding(topk.dtype))
        bad = int(repeated.any(axis=1).argmax()) if repeated.any() else None
    if bad is not None:
        raise ValueError(f"{name} must not name a label twice in a row, got {topk[bad].tolist()} in row {bad}")


def _columns(name, topk, names):
    """The places of predicted labels in `names`; -1 for others and for padding."""
    pads_missing = topk.dtype.kind in "OmM"
    labels, counted = check_labels(topk.reshape(-1), name=name, ignore_label=np.nan if pads_missing else None)
    columns = np.full(topk.size, -1)
    columns[slice(None) if counted is None else counted] = encode_labels(labels, names, unknown=-1, name=name)
    return columns.reshape(topk.shape)


def check_same_length(name, a, other_name, other):
    """Raise unless the two arrays have as many rows."""
    if a.shape[0] != other.shape[0]:
        raise ValueError(f"{name} must have as many rows as {other_name}, got {a.shape[0]} and {other.shape[0]}")
