"""The parameters of OneVsAllClassifier, and the rows that it is fitted to."""

import numpy as np

from fastsoftmax.validation.estimators import check_input, check_y_given, solver_dtype
from fastsoftmax.validation.foreign import as_columns
from fastsoftmax.validation.masses import check_class_weight_param
from fastsoftmax.validation.rows import check_targets
from fastsoftmax.validation.scalars import (
    check_bool,
    check_int,
    check_n_threads,
    check_option,
    check_real,
    check_verbose,
    is_auto,
)
from fastsoftmax.validation.weights import check_scaled_weight, check_some_weight


def check_one_vs_all_params(c):
    """Raise if a parameter of the OneVsAllClassifier `c` is wrong."""
    check_option("loss", c.loss, ("squared_hinge", "logistic"))
    check_real("C", c.C, above=0)
    check_real("tol", c.tol, minimum=0)
    check_int("max_iter", c.max_iter, minimum=1)
    check_bool("fit_intercept", c.fit_intercept)
    check_real("intercept_scaling", c.intercept_scaling, above=0)
    if not is_auto(c.feature_scaling):
        check_real("feature_scaling", c.feature_scaling, minimum=0, maximum=1)
    check_class_weight_param(c.class_weight)
    check_real("min_weight", c.min_weight, minimum=0)
    check_n_threads(c.n_threads)
    check_verbose(c.verbose)


def check_one_vs_all_rows(c, X, y, sample_weight):
    """The rows for the OneVsAllClassifier `c`, whose parameters are checked.

    Returns
    -------
    X : CSR rows or dense, float32 or float64
    y : labels (n_rows,), LabelLists, or masses of classes as CSR
    counted : (n_samples,) bool, which rows have any label, or None if all do
    weight : (n_samples,) float64, the sample weights
    """
    check_y_given(c, y)
    X = as_columns("X", X)
    X = check_input(c, X, dtype=solver_dtype(X), canonical=True, is_fitted=False)
    y, counted = check_targets(y, X.shape[0])
    weight = check_scaled_weight(sample_weight, X.shape[0])
    return X, y, counted, weight


def check_factors(c, weight, positive_weight, dtype):
    """A power of two near C times the largest weight of a row; ValueError where this is beyond this dtype's middle range."""
    check_some_weight("sample_weight with class_weight", weight)
    limit = float(np.sqrt(np.finfo(dtype).max))
    for largest in (c.C * weight.max(), c.C * weight.max() * max(1.0, positive_weight.max())):
        if not 1 / limit <= largest <= limit:
            raise ValueError(
                f"C times the largest weight of a row and a class must be from {1 / limit:.2g} to {limit:.2g} for "
                f"{dtype} X, got {largest:.2g}"
            )
    return float(np.ldexp(1.0, np.frexp(c.C * weight.max())[1]))
