"""The parameters of SoftmaxRegression, and the rows that it is fitted to."""

import math

import numpy as np

from fastsoftmax.validation.arrays import check_unmasked
from fastsoftmax.validation.classes import are_same_classes, check_classes, learn_classes
from fastsoftmax.validation.estimators import check_input, check_y_given, solver_dtype
from fastsoftmax.validation.foreign import as_columns
from fastsoftmax.validation.labels import check_labels
from fastsoftmax.validation.masses import check_class_weight_param, class_factors
from fastsoftmax.validation.scalars import (
    check_bool,
    check_int,
    check_n_threads,
    check_option,
    check_real,
    check_verbose,
)
from fastsoftmax.validation.weights import check_finite_sum, check_scaled_weight


def check_regression_params(r):
    """Raise if a parameter of the SoftmaxRegression `r` is wrong."""
    if not (isinstance(r.C, (float, np.floating)) and math.inf == r.C):
        check_real("C", r.C, above=0)
    check_real("tol", r.tol, minimum=0)
    check_int("max_iter", r.max_iter, minimum=1)
    check_option("solver", r.solver, ("auto", "lbfgs", "newton-cg"))
    check_bool("fit_intercept", r.fit_intercept)
    check_bool("warm_start", r.warm_start)
    check_class_weight_param(r.class_weight)
    check_n_threads(r.n_threads)
    check_verbose(r.verbose)


def check_regression_rows(r, X, y, sample_weight):
    """The rows for the SoftmaxRegression `r`, whose parameters are checked.

    Returns
    -------
    X : CSR rows or dense, float32 or float64
    classes : the distinct labels, in order
    codes : (n_samples,) where the label of each row is among them
    weight : (n_samples,) float64, in the user's scale: sample weight times class weight
    total : their sum, a finite float
    """
    check_y_given(r, y)
    # canonical, since the solvers scale columns by their squares
    X = as_columns("X", X)
    X = check_input(r, X, dtype=solver_dtype(X), canonical=True, is_fitted=False)
    check_unmasked("y", y)
    classes, codes = learn_classes(check_labels(y, X_rows=X.shape[0])[0])
    check_classes(classes)
    weight = check_scaled_weight(sample_weight, X.shape[0])
    with np.errstate(over="ignore"):
        weight = weight * class_factors(r.class_weight, classes, codes, weight)[codes]
    total = check_finite_sum("sample_weight with class_weight", weight)
    strength = float(r.C) * float(total)  # Python's floats become infinite without a warning
    if not 1 / np.finfo(np.float64).max < strength:
        raise ValueError(f"C times the sum of the weights must be at least 1e-308, got {r.C} x {total}")
    return X, classes, codes, weight, total


def check_same_problem(r, classes, n_features):
    """Raise if the model from which training is to continue has other classes or features."""
    shape = len(classes), n_features
    if r._model.W.shape != shape:
        raise ValueError(
            f"warm_start=True needs the classes and features of before: coef_ has shape {r._model.W.shape}, but {shape} is "
            "needed"
        )
    if not are_same_classes(classes, r.classes_):
        raise ValueError(f"warm_start=True needs the classes of before, {r.classes_[:5]}..., got {classes[:5]}...")


def check_regression_model(model, classes):
    """Raise unless the Model of a file is one that SoftmaxRegression fits: a weight for each feature and class, no more."""
    if model.W is None or not (model.pairs is None and model.E is None and model.prior is None):
        raise ValueError("the model has other terms than a SoftmaxRegression")
    check_classes(classes, name="the model's classes")
