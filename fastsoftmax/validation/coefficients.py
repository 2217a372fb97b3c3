"""Linear models that scikit-learn has fitted: which of them ours can stand for, and their coefficients."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.resources import check_memory
from fastsoftmax.validation.scalars import check_option

# By the losses of scikit-learn's linear classifiers: the loss of ours that makes the same of logits. A squared error of signs,
# and modified Huber, estimate probabilities as the squared hinge does, (1 + z) / 2 (Zhang 2004, doi:10.1214/aos/1079120130).
BINARY_LOSSES = {
    "log_loss": "logistic",
    "squared_hinge": "squared_hinge",
    "modified_huber": "squared_hinge",
    "squared_error": "squared_hinge",
}


def loss_of_linear(estimator):
    """What a fitted estimator of scikit-learn stands for: "softmax", or the loss of an OneVsAllClassifier.

    Raises
    ------
    TypeError
        If it is of no class that is known here.
    ValueError
        If its loss leaves no probabilities: they could not be told from those of others.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV, SGDClassifier
    from sklearn.svm import LinearSVC
    from sklearn.utils.validation import check_is_fitted

    softmaxes, others = (LogisticRegression, LinearDiscriminantAnalysis), (LinearSVC, SGDClassifier)
    ridges = (RidgeClassifier, RidgeClassifierCV)
    if not isinstance(estimator, (*softmaxes, *others, *ridges)):
        raise TypeError(
            "estimator must be a fitted LogisticRegression, LogisticRegressionCV, LinearDiscriminantAnalysis, LinearSVC, "
            f"SGDClassifier or RidgeClassifier of scikit-learn, got {type(estimator).__name__}"
        )
    check_is_fitted(estimator, "coef_")
    if isinstance(estimator, softmaxes):
        return "logistic" if _is_one_against_rest(estimator) else "softmax"
    loss = "squared_error" if isinstance(estimator, ridges) else estimator.loss
    if getattr(estimator, "multi_class", "ovr") != "ovr":
        loss = estimator.multi_class  # which ignores the loss
    if loss not in BINARY_LOSSES:
        raise ValueError(
            f"estimator must have been fitted by a loss that estimates probabilities ({', '.join(BINARY_LOSSES)}), got "
            f"{type(estimator).__name__} with {loss!r}"
        )
    return BINARY_LOSSES[loss]


def _is_one_against_rest(estimator):
    """Whether a logistic regression of several classes is one of each class, as earlier versions of scikit-learn have them."""
    by_option = getattr(estimator, "multi_class", None) == "ovr" or getattr(estimator, "solver", None) == "liblinear"
    return by_option and len(estimator.classes_) > 2


def check_coefficients(estimator, dtype):
    """The weights and intercepts of a fitted linear classifier, as copies.

    Parameters
    ----------
    dtype : the type to have them in, or None: that of `coef_`, float64 where that is neither float32 nor float64

    Returns
    -------
    W : (n_rows, n_features) array in Fortran order, or canonical CSC array where `coef_` is sparse
        There is one row for each class, or a single one for the second of two.
    bias : (n_rows,) array
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator, "classes_")
    coef = estimator.coef_
    coef = coef if sparse.issparse(coef) else np.atleast_2d(coef)
    if dtype is None:
        dtype = coef.dtype if coef.dtype in (np.float32, np.float64) else np.float64
    else:
        check_option("dtype", np.dtype(dtype).name, ("float32", "float64"))
    n_classes, shape, dtype = len(estimator.classes_), coef.shape, np.dtype(dtype)
    if shape[0] != n_classes and (shape[0], n_classes) != (1, 2):
        raise ValueError(f"coef_ must have a row for each of the {n_classes} classes, got shape {shape}")
    if not sparse.issparse(coef):
        check_memory("from_sklearn", coef.size * dtype.itemsize, f"coef_ {shape} x {dtype.itemsize} bytes")
    bias = np.empty(shape[0], dtype)
    with np.errstate(over="ignore"):  # infinities are found below
        if sparse.issparse(coef):
            W = sparse.csc_array(coef, dtype=dtype, copy=True)
            W.sum_duplicates()
        else:
            W = np.array(coef, dtype=dtype, order="F")
        bias[:] = np.ravel(estimator.intercept_)  # a single zero where there is no intercept
    for name, values in (("coef_", W.data if sparse.issparse(W) else W), ("intercept_", bias)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of the estimator must be finite in {dtype}")
    return W, bias
