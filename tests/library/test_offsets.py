"""A number that is added to all logits of a row changes no probability, so it may cost no more digits than the logits lose.

Logits that are exact in float32 lose none, whatever the offset: there the bounds are those of small logits. Others are rounded
to the offset's size, about once.
"""

import numpy as np
import pytest
import scipy.special
from covering import ISAS, covering
from numpy.testing import assert_allclose
from scipy import sparse

from fastsoftmax import (
    SoftmaxClassifier,
    SoftmaxRegression,
    cross_entropy,
    linear_cross_entropy,
    linear_logsumexp,
    linear_topk,
    log_softmax,
    logsumexp,
    metrics,
    sampled_cross_entropy,
)

OFFSETS = [0, 1e3, 1e5]  # there, float32 has steps of 1/128
DTYPES = [np.float32, np.float64]
N_ROWS, N_CLASSES = 20, 300


def sixteenths(a):
    """`a` in sixteenths: few of them add up to numbers that float32 has, with any of the offsets."""
    return np.round(a * 16) / 16


def problem(dtype, offset, place, exact, n_features):
    """X, W, bias, the exact logits and a target, whose logit is near the largest."""
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(N_ROWS, n_features)), rng.normal(size=(N_CLASSES, n_features)) * 2 / np.sqrt(n_features)
    bias = rng.normal(size=N_CLASSES)
    if exact:
        X = rng.integers(-1, 2, X.shape) * (rng.random(X.shape) < 8 / n_features)
        W, bias = sixteenths(rng.normal(size=W.shape)), sixteenths(bias)
    if place == "bias":
        bias = bias + offset
    else:
        X, W = np.c_[X, np.ones(N_ROWS)], np.c_[W, np.full(N_CLASSES, offset)]
    X, W, bias = X.astype(dtype), W.astype(dtype), bias.astype(dtype)
    logits = X.astype(np.float64) @ W.astype(np.float64).T + bias.astype(np.float64)
    return X, W, bias, logits, logits.argsort(1)[:, -7]


def bound(dtype, offset, exact, size=20.0):
    """The largest error of a log-probability of up to `size`; float64 is rounded to the size of the offset at the end."""
    return np.finfo(dtype).eps * (size if exact and dtype == np.float32 else 3 * (size + offset))


@pytest.fixture(params=["dense", "CSR", "pairs"])
def inputs(request):
    """A function that returns X and W as one of the kinds that linear functions take."""
    as_X = np.asarray if request.param == "dense" else sparse.csr_array
    as_W = sparse.csc_array if request.param == "pairs" else np.asarray
    return lambda X, W: (as_X(X), as_W(W))


@covering(
    {
        "isa": ISAS,
        "inputs": ["dense", "CSR", "pairs"],
        "dtype": DTYPES,
        "offset": OFFSETS,
        "place": ["bias", "feature"],
        "exact": [True, False],
        "n_features": [10, 300],
    },
    fixtures=("isa", "inputs"),
)
def test_linear_functions(isa, inputs, dtype, offset, place, exact, n_features):
    X, W, bias, logits, target = problem(dtype, offset, place, exact, n_features)
    log_proba = scipy.special.log_softmax(logits, axis=1)
    of_target, limit = log_proba[np.arange(N_ROWS), target], bound(dtype, offset, exact)
    X, W = inputs(X, W)
    lse = linear_logsumexp(X, W, bias)
    assert_allclose(lse, scipy.special.logsumexp(logits, 1), rtol=0, atol=bound(dtype, offset, False))
    loss, (_, _, dbias) = linear_cross_entropy(X, W, target, bias, reduction="none", return_grad=True)
    assert_allclose(loss, -of_target, rtol=0, atol=limit)
    one_hot = np.arange(N_CLASSES) == target[:, None]
    assert_allclose(dbias, (np.exp(log_proba) - one_hot).sum(0), rtol=0, atol=2 * limit)
    smooth = linear_cross_entropy(X, W, target, bias, reduction="none", label_smoothing=0.1)
    assert_allclose(smooth, -0.9 * of_target - 0.1 * log_proba.mean(1), rtol=0, atol=limit)
    class_ids, best = linear_topk(X, W, 5, bias)
    assert_allclose(best, np.take_along_axis(log_proba, class_ids, 1), rtol=0, atol=limit)
    assert_allclose(best[:, 0], log_proba.max(1), rtol=0, atol=limit)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_logits(isa, dtype, offset):
    X, W, bias, logits, target = problem(dtype, offset, "bias", True, 10)
    expected = scipy.special.log_softmax(logits, axis=1)
    of_target, limit = expected[np.arange(N_ROWS), target], bound(dtype, offset, True)
    logits = logits.astype(dtype)
    for x in (logits, np.asfortranarray(logits)):
        assert_allclose(log_softmax(x, axis=1), expected, rtol=0, atol=bound(dtype, 0, True))
        assert_allclose(cross_entropy(x, target, reduction="none"), -of_target, rtol=0, atol=bound(dtype, 0, True))
        assert_allclose(logsumexp(x, axis=1), (logits - expected)[:, 0], rtol=0, atol=bound(dtype, offset, False))
    ids, counts = np.arange(N_CLASSES), np.zeros(N_CLASSES)
    loss = sampled_cross_entropy(X, W, target, bias, class_ids=ids, log_expected_counts=counts)
    assert_allclose(loss, -of_target.mean(), rtol=0, atol=limit)


TERMS = {
    "dense": {"direct": "dense", "hidden_size": None},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "low rank": {"direct": None, "hidden_size": 8},
    "both": {"direct": "dense", "hidden_size": 8},
    "sparse and low rank": {"direct": "sparse", "hidden_size": 8},
}


def fitted(terms, dtype, offset, as_X):
    """A model whose weights are few sixteenths, with the offset in its bias; rows, labels, and the exact logits."""
    rng = np.random.default_rng(0)
    X = (rng.random((60, 30)) < 0.2).astype(dtype)
    y = rng.integers(0, 40, 60)
    if terms == "regression":
        model = SoftmaxRegression(tol=1e3).fit(as_X(X), y)
    else:
        options = {"max_iter": 1, "random_state": 0, "calibration_fraction": 0.0, "dtype": np.dtype(dtype).name}
        model = SoftmaxClassifier(loss="softmax", **TERMS[terms], **options).fit(as_X(X), y)
    arrays = model._model.parameters()
    for name, a in arrays.items():
        a[...] = sixteenths(rng.normal(size=a.shape)) if name != "E" else rng.integers(-1, 2, a.shape)
    model.intercept_[...] += dtype(offset)
    logits = np.zeros((60, len(model.classes_))) + model.intercept_.astype(np.float64)
    if "W" in arrays:
        W = model.coef_
        logits += X.astype(np.float64) @ (W.toarray() if sparse.issparse(W) else W).astype(np.float64).T
    if "V" in arrays:
        logits += X.astype(np.float64) @ model.embedding_.astype(np.float64) @ model.hidden_coef_.astype(np.float64).T
    return model, as_X(X), y, logits


@covering(
    {
        "terms": [*TERMS, "regression"],
        "dtype": DTYPES,
        "offset": OFFSETS,
        "as_X": [np.asarray, sparse.csr_array],
        "storage": [None, "float16", "bfloat16"],
    }
)
def test_models(terms, dtype, offset, as_X, storage):
    model, X, y, logits = fitted(terms, dtype, offset, as_X)
    model = model if storage is None else model.compressed(storage)
    log_proba = scipy.special.log_softmax(logits, axis=1)
    codes = np.searchsorted(model.classes_, y)
    of_target, limit = log_proba[np.arange(60), codes], bound(dtype, offset, True, size=40)
    assert_allclose(model.decision_function(X), logits, rtol=0, atol=limit)
    assert_allclose(model.predict_log_proba(X), log_proba, rtol=0, atol=limit)
    assert_allclose(model.predict_proba(X), np.exp(log_proba), rtol=0, atol=limit)
    for rows in (slice(None), slice(3)):  # few rows go another way
        assert_allclose(model.target_log_proba(X[rows], y[rows]), of_target[rows], rtol=0, atol=limit)
        labels, best = model.predict_topk(X[rows], 4)
        assert_allclose(best, -np.sort(-log_proba, axis=1)[rows, :4], rtol=0, atol=limit)
        of_labels = np.take_along_axis(log_proba[rows], np.searchsorted(model.classes_, labels), 1)
        assert_allclose(best, of_labels, rtol=0, atol=limit)
    masses = np.eye(len(model.classes_))[codes] * 0.5 + 0.5 / len(model.classes_)
    expected = 0.5 * of_target + 0.5 * log_proba.mean(1)
    assert_allclose(model.target_log_proba(X, masses), expected, rtol=0, atol=4 * limit)  # a sum of forty, in float64
    assert_allclose(metrics.evaluate(model, X, y)["log_loss"], -of_target.mean(), rtol=0, atol=limit)
    assert model.score(X, y) == np.mean(log_proba.argmax(1) == codes)
