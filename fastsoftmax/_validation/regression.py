"""The parameters of SoftmaxRegression, and its data beside these."""

import math

import numpy as np

from fastsoftmax._validation.estimators import check_input, check_y_given
from fastsoftmax._validation.labels import check_classes, check_labels
from fastsoftmax._validation.scalars import (
    REAL_DTYPES,
    check_bool,
    check_int,
    check_n_threads,
    check_option,
    check_real,
)
from fastsoftmax._validation.targets import check_sample_weight


def check_regression_params(r):
    """The parameters of the SoftmaxRegression `r`, but class_weight, which needs the classes."""
    if not (isinstance(r.C, float) and math.isinf(r.C) and r.C > 0):
        check_real("C", r.C, above=0)
    check_real("tol", r.tol, minimum=0)
    check_int("max_iter", r.max_iter, minimum=1)
    check_option("solver", r.solver, ("auto", "lbfgs", "newton-cg"))
    check_bool("fit_intercept", r.fit_intercept)
    check_bool("warm_start", r.warm_start)
    check_n_threads(r.n_threads)


def check_regression_rows(r, X, y, sample_weight):
    """X, float32 or float64, CSR or dense; classes; codes (n_samples,); weights (n_samples,) float64, as they are."""
    check_y_given(r, y)
    dtype = np.dtype(getattr(X, "dtype", np.float64))
    X = check_input(r, X, dtype=dtype if dtype in REAL_DTYPES else np.dtype(np.float64), is_fitted=False)
    classes, codes = np.unique(check_labels(y, X_rows=X.shape[0]), return_inverse=True)
    check_classes(classes)
    weight = check_sample_weight(sample_weight, X.shape[0])
    if sample_weight is not None:
        weight = weight * np.asarray(sample_weight).mean(dtype=np.float64)
    return X, classes, codes, weight * check_class_weights(r.class_weight, classes, codes, weight)[codes]


def check_class_weights(class_weight, classes, codes, sample_weight):
    """(n_classes,) weights of None, "balanced" or a dict from label to weight; labels left out have 1."""
    from sklearn.utils.class_weight import compute_class_weight

    if class_weight is None:
        return np.ones(len(classes))
    if class_weight == "balanced":
        # codes, not labels: sorted arrays of them are what scikit-learn looks classes up in
        numbers = np.arange(len(classes))
        return compute_class_weight("balanced", classes=numbers, y=codes, sample_weight=sample_weight)
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be None, 'balanced' or a dict from label to weight, got {class_weight!r}")
    unknown = [label for label in class_weight if label not in set(classes.tolist())]
    if unknown:
        raise ValueError(f"class_weight has {unknown[0]!r}, which is not among the {len(classes)} classes")
    weights = np.ones(len(classes))
    for code, label in enumerate(classes.tolist()):
        if label in class_weight:
            weights[code] = check_real(f"class_weight[{label!r}]", class_weight[label], minimum=0)
    return weights


def check_same_shape(coef, shape):
    """Raise where a model that training is to go on from has other classes or features."""
    if coef.shape != shape:
        raise ValueError(
            f"warm_start=True needs the classes and features of before: coef_ has shape {coef.shape}, but {shape} is needed"
        )
