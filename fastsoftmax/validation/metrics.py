"""Predictions, and what they are compared with."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_array, as_real_array, check_unmasked
from fastsoftmax.validation.class_facts import first_of_other_family
from fastsoftmax.validation.classes import encode_labels, learn_classes, padding
from fastsoftmax.validation.foreign import TableRows, as_known, is_table
from fastsoftmax.validation.label_lists import as_targets, check_label_lists, indicator
from fastsoftmax.validation.labels import (
    are_label_lists,
    check_labels,
    family,
)
from fastsoftmax.validation.scalars import check_int, check_real
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
    names, y = None, as_targets(name, y)
    if not sparse.issparse(y):
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


def check_true_indicator(name, y):
    """`check_true_labels`, where one label a row too becomes a canonical CSR indicator, and the distinct labels `names`."""
    y, names = check_true_labels(name, y)
    if not sparse.issparse(y):
        names, codes = learn_classes(check_labels(y, name=name)[0], name=name)
        y = indicator(codes, np.arange(len(codes) + 1), len(names))
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
    """The rows to evaluate, whatever the model takes: CSR, a table, or an array of at least one dimension, also of texts."""
    if is_table(X):
        return TableRows("X", X)
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], str):
        # as objects: in an array of strings, each would be as long as the longest
        return np.fromiter(X, object, len(X))
    X = as_known("X", X)
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
    topk = check_rankings(name, topk, min_columns=min_columns)
    check_same_length(name, topk, "y", y)
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


def check_rankings(name, topk, *, min_columns):
    """The predicted labels of each row, distinct but for padding, as a 2-D array."""
    topk = as_array(name, topk)
    if topk.ndim != 2 or topk.shape[1] < min_columns:
        raise ValueError(f"{name} must have two dimensions and at least {min_columns} columns, got shape {topk.shape}")
    _check_no_repeats(name, topk)
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
    if not len(names):  # no row has a label
        return columns.reshape(topk.shape)
    columns[slice(None) if counted is None else counted] = encode_labels(labels, names, unknown=-1, name=name)
    return columns.reshape(topk.shape)


def check_same_length(name, a, other_name, other):
    """Raise unless the two arrays have as many rows."""
    if a.shape[0] != other.shape[0]:
        raise ValueError(f"{name} must have as many rows as {other_name}, got {a.shape[0]} and {other.shape[0]}")


def check_label_space(name, y, names, classes, n_classes):
    """Where the labels of an indicator, as `check_true_indicator` returns it, stand among all labels; and how many these are.

    Returns
    -------
    codes : (n_columns,) the places of its columns among `classes`, or 0 to n_classes - 1; None where the columns are these
    n_classes : int
    """
    if classes is not None and n_classes is not None:
        raise ValueError(f"classes and n_classes={n_classes} exclude each other")
    n_columns = y.shape[1]
    if classes is not None:
        labels, places = distinct_labels("classes", classes)
        if names is not None:
            return places[_places(name, names, labels)], len(labels)
        if len(labels) != n_columns:
            raise ValueError(
                f"classes must have a label for each of the {n_columns} columns of {name}, got {len(labels)}"
            )
    if n_classes is None:
        return None, n_columns
    n_classes = check_int("n_classes", n_classes, minimum=1)
    if names is not None:
        return _places(name, names, np.arange(n_classes)), n_classes
    if n_classes < n_columns:
        raise ValueError(f"n_classes must be at least {n_columns}, the columns of {name}, got {n_classes}")
    return None, n_classes


def distinct_labels(name, labels):
    """Distinct labels in order, and the place of each in what the user gave; ValueError where one is there twice."""
    labels, _ = check_labels(labels, name=name)
    distinct, codes = learn_classes(labels, name=name)
    if len(distinct) < len(labels):
        at = int(np.setdiff1d(np.arange(len(codes)), np.unique(codes, return_index=True)[1])[0])
        raise ValueError(
            f"{name} must not hold a label twice, got {labels[at : at + 1].tolist()[0]!r} at position {at}"
        )
    places = np.empty(len(labels), np.int64)
    places[codes] = np.arange(len(labels))
    return distinct, places


def _places(name, names, labels):
    """Where each of `names`, the distinct labels of a user's `name`, stands among `labels`, which have to have them all."""
    places = places_or_none(names, labels)
    if (places < 0).any():
        bad = names[places < 0][:1].tolist()[0]
        raise ValueError(f"{name} holds {bad!r}, which is not among the {len(labels)} classes")
    return places


def places_or_none(names, labels):
    """Where each of `names` stands among `labels`; -1 for those that are not there."""
    if not len(names) or not len(labels) or first_of_other_family(names, labels) is not None:
        return np.full(len(names), -1)
    return encode_labels(names, labels, unknown=-1)


def check_propensity_rows(name, n_samples):
    """`n_samples`, of which the propensities of Jain et al. need three: below e, a rare class would count less than others."""
    if n_samples < 3:
        raise ValueError(f"{name} must have at least 3 rows to estimate propensities from, got {n_samples}")
    return n_samples


def check_inverse_propensities(name, given, y, names, classes=None):
    """A number for each column of an indicator, as `check_true_indicator` returns it: float64, finite and positive.

    classes : what an array has the numbers of, where the labels have names; None: of 0, 1, 2 and so on
    """
    labels = None
    if isinstance(given, Mapping):
        labels, places = distinct_labels(name, list(given))
        given = as_real_array(name, list(given.values()))[places]
        names = np.arange(y.shape[1]) if names is None else names
    values = as_real_array(name, given).astype(np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {values.shape}")
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        raise ValueError(f"{name} must be finite and positive, got {values[bad][0]} at position {bad.argmax()}")
    if names is None:
        if len(values) != y.shape[1]:
            raise ValueError(f"{name} must have a number for each of the {y.shape[1]} columns of y, got {len(values)}")
        return values
    if labels is None:
        if classes is not None and len(classes) != len(values):
            raise ValueError(f"{name} must have a number for each of the {len(classes)} classes, got {len(values)}")
        labels, places = distinct_labels("classes", np.arange(len(values)) if classes is None else classes)
        values = values[places]
    return _of_names(name, values, labels, y, names)


def _of_names(name, values, labels, y, names):
    """The values of `names`, given those of `labels`; what no row has may lack one."""
    places = places_or_none(names, labels)
    without = np.flatnonzero((places < 0)[y.indices])
    if without.size:
        bad = names[y.indices[without[:1]]].tolist()[0]
        raise ValueError(f"{name} must have a number for every label of y, got none for {bad!r}")
    return np.append(values, 1.0)[places]


def check_scores(name, scores):
    """Scores of all classes as a real array, or some of them as canonical CSR; (n_samples, n_classes), without NaN."""
    scores = as_known(name, scores)
    if sparse.issparse(scores):
        scores = check_csr(scores, None, name)
        if not scores.has_canonical_format:
            scores = scores.copy()
            scores.sum_duplicates()
        values = scores.data
    else:
        values = scores = as_real_array(name, scores)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"{name} must have two dimensions and at least one column, got shape {scores.shape}")
    if values.size and np.isnan(values.min()):
        raise ValueError(f"{name} must not hold NaN")
    return scores


def check_thresholds(name, threshold, n_classes, dtype):
    """A threshold for all classes or one for each, in the type of the scores: an array () or (n_classes,) without NaN."""
    threshold = as_real_array(name, threshold)
    if threshold.shape not in ((), (n_classes,)):
        raise ValueError(f"{name} must be a number or have shape ({n_classes},), got shape {threshold.shape}")
    if np.isnan(threshold).any():
        raise ValueError(f"{name} must not hold NaN")
    with np.errstate(over="ignore"):
        return threshold.astype(dtype)


def check_true_columns(name, y, n_classes, classes):
    """The true labels of each row as a canonical CSR indicator whose columns are those of scores of `n_classes` classes.

    classes : the labels that the columns stand for; None: 0, 1, 2 and so on
    """
    y, names = check_true_indicator(name, y)
    if names is None:
        if y.shape[1] != n_classes:
            raise ValueError(f"{name} must have the {n_classes} columns of the scores, got {y.shape[1]}")
        return y
    codes, n_labels = check_label_space(name, y, names, classes, n_classes if classes is None else None)
    if n_labels != n_classes:
        raise ValueError(f"classes must have a label for each of the {n_classes} columns of the scores, got {n_labels}")
    return indicator(codes[y.indices], y.indptr, n_classes)


def check_floor(name, floor):
    """A probability below which none counts, as a float in [0, 1)."""
    floor = check_real(name, floor, minimum=0)
    if floor >= 1:
        raise ValueError(f"{name} must be below 1, got {floor}")
    return floor


def check_class_probabilities(estimator, X, n_rows):
    """The probabilities of all classes that a classifier gives, or their logarithms, by the method that is named first.

    Returns
    -------
    method : "predict_log_proba" or "predict_proba"
    values : (n_rows, n_classes) array, with columns as in ``classes_``
    """
    method = next((name for name in ("predict_log_proba", "predict_proba") if hasattr(estimator, name)), None)
    if method is None:
        raise TypeError(
            f"the estimator must have target_log_proba, predict_log_proba or predict_proba, got {type(estimator).__name__}"
        )
    values, shape = as_real_array(f"{method}(X)", getattr(estimator, method)(X)), (n_rows, len(estimator.classes_))
    if values.shape != shape:
        raise ValueError(f"{method}(X) must have shape {shape}, a row for each label of y, got {values.shape}")
    return method, values
