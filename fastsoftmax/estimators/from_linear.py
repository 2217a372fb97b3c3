"""Linear models that scikit-learn has fitted, as ours: for predictions over very many classes in bounded memory."""

import numpy as np
from scipy import sparse

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.one_vs_all import OneVsAllClassifier, mirrored, model_of
from fastsoftmax.estimators.regression import SoftmaxRegression
from fastsoftmax.text.encoding import Encoding
from fastsoftmax.training.options import Choices
from fastsoftmax.training.state import TrainingState
from fastsoftmax.validation import (
    check_coefficients,
    check_labels,
    check_n_threads,
    check_rng,
    learn_classes,
    loss_of_linear,
)


def from_sklearn(estimator, *, dtype=None, n_threads=None):
    """The model with the coefficients of a linear classifier that scikit-learn has fitted.

    scikit-learn predicts by an array of n_samples x n_classes. What this returns predicts in blocks of classes and rows, so
    `predict_topk` takes no more memory for a million classes than for a thousand.

    Parameters
    ----------
    estimator : fitted estimator
        A LogisticRegression or LogisticRegressionCV, a LinearDiscriminantAnalysis or a `SoftmaxRegression` becomes a
        `SoftmaxClassifier`. A LinearSVC, SGDClassifier or RidgeClassifier becomes an `OneVsAllClassifier`. `coef_` may be
        sparse, as `sparsify()` makes it: then predictions cost what the weights of a row's own features do.
    dtype : {"float32", "float64"}, optional
        The type of the weights, into which they are copied, and of all computation. None: that of `coef_`.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.

    Returns
    -------
    model : SoftmaxClassifier or OneVsAllClassifier
        A SoftmaxClassifier has the estimator's distribution: `predict_proba` agrees up to rounding, `save` and `load` work,
        and `partial_fit` goes on from these weights (Adagrad with new sums of squares, and no penalty). An OneVsAllClassifier
        has the estimator's `decision_function` and best labels. Its `predict_topk` returns logits, and `predict_marginals`
        gives each label a probability of its own: for ``SGDClassifier("log_loss")`` the logistic function of its logit.
        `SGDClassifier.predict_proba` divides these by their sum, a distribution that no softmax has, so nothing here does.

    Raises
    ------
    TypeError
        If the estimator is of another class. Of a Pipeline or a search, give the classifier within.
    ValueError
        If it was fitted by a loss that estimates no probabilities ("hinge", "perceptron", "crammer_singer", ...), or weights
        are not finite.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> import fastsoftmax
    >>> X, y = load_iris(return_X_y=True)
    >>> regression = LogisticRegression(max_iter=1000).fit(X, y)
    >>> model = fastsoftmax.from_sklearn(regression)
    >>> bool(np.allclose(model.predict_log_proba(X), regression.predict_log_proba(X)))
    True
    """
    loss = "softmax" if isinstance(estimator, SoftmaxRegression) else loss_of_linear(estimator)
    if n_threads is not None:
        check_n_threads(n_threads)
    W, bias = check_coefficients(estimator, dtype)
    classes, codes = learn_classes(check_labels(estimator.classes_, name="classes_")[0], "classes_")
    is_binary = len(bias) < len(classes)
    if is_binary:
        share = 0.5 if loss == "softmax" else 1.0  # the logits of a softmax differ by the one that there is
        model = mirrored(W * W.dtype.type(share), bias * bias.dtype.type(share))
    else:
        model = model_of(W, bias)
    if (codes != np.arange(len(codes))).any():  # the estimator has another order of its labels
        model = _in_order(model, np.argsort(codes))
    make = _softmax_classifier if loss == "softmax" else _one_vs_all_classifier
    result = make(model, loss, n_threads, is_binary)
    result._set_fitted(classes_=classes, n_features_in_=model.n_features)
    result._name_features(getattr(estimator, "feature_names_in_", None))
    return result


def _in_order(model, order):
    """The model whose class i is number order[i] of `model`."""
    W = model.W if model.pairs is None else model.sparse_matrix()
    W = np.asfortranarray(W[order]) if model.pairs is None else sparse.csc_array(sparse.csr_array(W)[order])
    return model_of(W, model.bias[order])


def _softmax_classifier(model, loss, n_threads, is_binary):
    direct = "dense" if model.pairs is None else "sparse"
    classifier = SoftmaxClassifier(
        loss=loss, direct=direct, hidden_size=None, dtype=model.dtype.name, n_threads=n_threads
    )
    choices = Choices(loss=loss, direct=direct, hidden_size=None, alpha=0.0, class_alpha=None)
    fitted = {f"{name}_": value for name, value in choices._asdict().items()}
    state = TrainingState(check_rng("random_state", None), np.zeros(model.n_classes, np.int64))
    fitted |= {"_model": model, "_state": state, "encoding_": Encoding(), "loss_curve_": [], "validation_curve_": []}
    classifier._set_fitted(**fitted, calibration_={}, marginals_={}, ranking_={})
    return classifier


def _one_vs_all_classifier(model, loss, n_threads, is_binary):
    classifier = OneVsAllClassifier(loss, n_threads=n_threads)
    classifier._set_fitted(_model=model, _is_binary=is_binary, n_iter_=0)
    return classifier
