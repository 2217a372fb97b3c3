"""The rows that a classifier is given: X, and labels or masses of classes."""

import numpy as np

from fastsoftmax.validation.arrays import check_unmasked
from fastsoftmax.validation.estimators import check_input, check_y_given
from fastsoftmax.validation.label_lists import as_targets, check_label_lists
from fastsoftmax.validation.labels import are_label_lists, check_labels
from fastsoftmax.validation.masses import are_masses, check_masses
from fastsoftmax.validation.scalars import check_int
from fastsoftmax.validation.weights import check_sample_weight


def check_rows(c, options, X, y, sample_weight, model=None, *, is_part=False):
    """The rows that count, as the kernels take them, for the SoftmaxClassifier `c` with these Options.

    model : the Model so far, whose dtype X must have, as it must have the feature names of `c`; None: there is none. Where
        there is one, all rows may have a weight of zero.
    is_part : whether other ranks have more rows, so that there need not be any here, and weights stay as they are

    Returns
    -------
    X : CSR rows or dense
    y : labels (n_rows,), LabelLists, or masses of classes as CSR
    weight : (n_rows,), of which only the ratios matter
    counted : (n_samples,) bool, which rows count, or None if all do
    """
    check_y_given(c, y)
    may_be_sparse = options.direct_name in ("sparse", "auto")
    canonical = may_be_sparse or options.optimizer.clip_norm is not None  # for the norms of rows
    dtype = options.dtype if model is None else model.dtype
    X = check_input(c, X, dtype=dtype, canonical=canonical, is_fitted=model is not None, may_be_none=is_part)
    if options.n_hidden_features is not None:
        check_int("LowRank.n_features", options.n_hidden_features, maximum=X.shape[1])
    y, counted = check_targets(y, X.shape[0], options.ignore_label)
    weight = check_sample_weight(sample_weight, X.shape[0], counted, may_be_zero=model is not None, is_part=is_part)
    return X if counted is None else X[counted], y, weight, counted


def check_targets(y, n_samples, ignore_label=None, *, name="y"):
    """The labels or masses of the rows that count, and which rows these are; see `check_rows`."""
    if not (isinstance(y, np.ma.MaskedArray) and y.ndim == 1):  # whose masked labels are missing ones
        check_unmasked(name, y)
    y = as_targets(name, y)
    if are_masses(y):
        return check_masses(y, n_samples, name=name)
    if are_label_lists(y):
        return check_label_lists(y, n_samples, ignore_label, name=name)
    return check_labels(y, X_rows=n_samples, name=name, ignore_label=ignore_label)


def check_some_rows(X, *, name="y", n_given=None):
    """Raise if no row counts; `n_given` : how many rows there are, if that may be none."""
    if n_given == 0:
        raise ValueError("X has no rows")
    if X.shape[0] == 0:
        raise ValueError(f"{name} must have a label or a mass above 0 in at least one row: none counts")
