"""The rows that a classifier is given: X, and labels or masses of classes."""

import numpy as np

from fastsoftmax.validation.estimators import check_input, check_y_given
from fastsoftmax.validation.labels import check_labels
from fastsoftmax.validation.masses import are_masses, check_masses
from fastsoftmax.validation.scalars import check_int
from fastsoftmax.validation.targets import check_sample_weight


def check_rows(c, X, y, sample_weight, n_features=None):
    """The rows that count, as the kernels take them, for the SoftmaxClassifier `c`, whose parameters are checked.

    n_features : the number of features of the model so far, whose feature names and dtype X must have; None: there is no
        model

    Returns
    -------
    X : CSR rows or dense
    y : labels (n_rows,), or masses of classes as CSR
    weight : (n_rows,) of mean 1
    counted : (n_samples,) bool, which rows count, or None if all do
    """
    check_y_given(c, y)
    canonical = c.direct == "sparse" or c.clip_norm is not None  # for the norms of rows
    is_fitted = n_features is not None
    X = check_input(
        c, X, dtype=c._model.dtype if is_fitted else np.dtype(c.dtype), canonical=canonical, is_fitted=is_fitted
    )
    if c.n_hidden_features is not None:
        check_int("n_hidden_features", c.n_hidden_features, maximum=X.shape[1])
    y, counted = check_targets(y, X.shape[0], c.ignore_label)
    weight = check_sample_weight(sample_weight, X.shape[0], counted)
    return X if counted is None else X[counted], y, weight, counted


def check_targets(y, n_samples, ignore_label=None, *, name="y"):
    """The labels or masses of the rows that count, and which rows these are; see `check_rows`."""
    if are_masses(y):
        return check_masses(y, n_samples, name=name)
    return check_labels(y, X_rows=n_samples, name=name, ignore_label=ignore_label)


def check_some_rows(X, *, name="y"):
    """Raise if no row counts."""
    if X.shape[0] == 0:
        raise ValueError(f"{name} must have a label or a mass above 0 in at least one row: none counts")
