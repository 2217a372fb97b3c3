"""One rule for all weights: only ratios matter, rows by class are classes, and a row that counts twice is two rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from fuzz import strategies as s
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

import fastsoftmax as fs

TERMS = [
    {"direct": "dense", "hidden_size": None},
    {"direct": "sparse", "hidden_size": None},
    {"direct": None, "hidden_size": 4},
    {"direct": "sparse", "hidden_size": 3},
]
terms = st.sampled_from(TERMS)


# Few iterations on random labels do not converge, and extreme weights may say so.
pytestmark = pytest.mark.filterwarnings("ignore")


def problem(rng, n=200, d=6, n_classes=4, *, is_sparse=False):
    X = rng.standard_normal((n, d)).astype(np.float32)
    X = sp.csr_array(np.where(rng.random((n, d)) < 0.5, X, 0)) if is_sparse else X
    return X, s.labels(rng, n, n_classes), rng.random(n) + 0.01


def scaled(weight, factor):
    """The weights times the factor, and the same as the factor has rounded them, but near 1."""
    return weight * factor, weight * factor / factor


def classifier(**params):
    return fs.SoftmaxClassifier(random_state=0, max_iter=2, **params)


@examples(16)
@given(rng=s.rngs, factor=s.factors, params=terms, is_sparse=st.booleans())
def test_weights_of_a_classifier_times_any_number(rng, factor, params, is_sparse):
    X, y, weight = problem(rng, is_sparse=is_sparse)
    extreme, weight = scaled(weight, factor)
    base, other = classifier(**params).fit(X, y, weight), classifier(**params).fit(X, y, extreme)
    np.testing.assert_allclose(other.predict_proba(X), base.predict_proba(X), atol=2e-3)
    assert other.score(X, y, extreme) == pytest.approx(other.score(X, y, weight), abs=1e-9)


@examples(16)
@given(rng=s.rngs, factor=s.factors, params=terms)
def test_weights_of_a_stream_and_of_a_calibration_times_any_number(rng, factor, params):
    X, y, weight = problem(rng)
    extreme, weight = scaled(weight, factor)

    def trained(weight):
        model = classifier(**params).partial_fit(X, y, np.arange(4), weight)
        return (model if params["direct"] == "dense" else model.calibrate(X, y, weight)).predict_proba(X)

    np.testing.assert_allclose(trained(extreme), trained(weight), atol=2e-3)


@examples(16)
@given(rng=s.rngs, factor=st.sampled_from([2.0**-900, 1e-30, 1e30, 2.0**900]), n_classes=st.integers(2, 5))
def test_weights_of_a_regression_without_penalty_times_any_number(rng, factor, n_classes):
    X, y, weight = problem(rng, n_classes=n_classes)
    extreme, weight = scaled(weight, factor)
    base, other = (fs.SoftmaxRegression(C=np.inf, tol=1e-6).fit(X, y, w).predict_proba(X) for w in (weight, extreme))
    np.testing.assert_allclose(other, base, atol=1e-3)


@examples(30)
@given(rng=s.rngs, factor=s.factors, n=st.integers(1, 300))
def test_weights_of_the_log_loss_times_any_number(rng, factor, n):
    log_proba = -rng.exponential(size=n)
    extreme, weight = scaled(rng.random(n) + 0.01, factor)
    truth = -np.average(log_proba, weights=weight)
    assert fs.metrics.log_loss(log_proba, extreme) == pytest.approx(truth)
    assert fs.metrics.perplexity(log_proba, extreme) == pytest.approx(np.exp(truth))


@examples(12)
@given(rng=s.rngs, heavy=st.sampled_from([0.01, 9.0, 1e6]), params=terms)
def test_weights_of_rows_by_class_are_weights_of_classes(rng, heavy, params):
    """Also in the prior: what a row without features gets."""
    n = 1000
    y = s.labels(rng, n, 2)
    X = sp.csr_array(np.eye(2, dtype=np.float32)[np.zeros(n, int)])
    rows = np.where(y == 0, heavy, 1.0)
    by_rows = classifier(**params).fit(X, y, rows)
    by_classes = classifier(**params, class_weight={0: heavy, 1: 1.0}).fit(X, y)
    nothing = sp.csr_array((1, 2), dtype=np.float32)
    for X_new in (nothing, X[:1]):
        np.testing.assert_allclose(by_rows.predict_proba(X_new), by_classes.predict_proba(X_new), atol=0.02)


@examples(8)
@given(rng=s.rngs, n_classes=st.integers(2, 5))
def test_weights_of_rows_by_class_are_weights_of_classes_in_a_regression(rng, n_classes):
    X, y, _ = problem(rng, n_classes=n_classes)
    of_class = rng.random(n_classes) + 0.1
    by_rows = fs.SoftmaxRegression(tol=1e-6).fit(X, y, of_class[y])
    by_classes = fs.SoftmaxRegression(tol=1e-6, class_weight=dict(enumerate(of_class))).fit(X, y)
    np.testing.assert_allclose(by_rows.predict_proba(X), by_classes.predict_proba(X), atol=1e-3)


@examples(8)
@given(rng=s.rngs, n_classes=st.integers(2, 5))
def test_a_weight_of_two_is_two_rows(rng, n_classes):
    X, y, _ = problem(rng, n_classes=n_classes)
    counts = rng.integers(0, 3, len(y))
    counts[:n_classes], y[:n_classes] = 1, np.arange(n_classes)
    at = np.repeat(np.arange(len(y)), counts)
    weighted = fs.SoftmaxRegression(tol=1e-6).fit(X, y, counts)
    repeated = fs.SoftmaxRegression(tol=1e-6).fit(X[at], y[at])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)
    model = classifier(direct="dense", hidden_size=None).fit(X, y)
    assert model.score(X, y, counts) == pytest.approx(model.score(X[at], y[at]))
