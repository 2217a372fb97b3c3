"""One rule for the weights of rows, of classes and of masses, in all that training does with them."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import BaggingClassifier

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.training.targets import SoftTargets

TERMS = (
    {"direct": "sparse"},
    {"direct": "dense"},
    {"direct": None, "hidden_size": 4},
    {"direct": "sparse", "hidden_size": 4},
)
N_CLASSES = 4


def small(**params):
    return SoftmaxClassifier(**{"random_state": 0, "max_iter": 2, "n_threads": 1, "batch_size": 32} | params)


def make_data(n=200):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 6)) * (rng.random((n, 6)) < 0.5), np.resize(np.arange(N_CLASSES), n)
    return sp.csr_array(X + np.eye(6)[y]), y, 1 - rng.random(n) / 2


def assert_same(a, b):
    for x, y in zip(a._model.arrays().values(), b._model.arrays().values(), strict=True):
        assert_array_equal(x, y)
    assert (a.calibration_, a.validation_curve_) == (b.calibration_, b.validation_curve_)


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("scale", [2.0**-1021, 2.0**1000, 2.0**1023])
def test_only_ratios_of_weights_matter(terms, scale):
    X, y, weight = make_data()
    params = terms | {"early_stopping": True}
    expected = small(**params).fit(X, y, weight)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        model = small(**params).fit(X, y, weight * scale)
        assert_same(model, expected)
        assert model.score(X, y, weight * scale) == expected.score(X, y, weight)
        by_class = small(class_weight=dict.fromkeys(range(N_CLASSES), scale), **params)
        assert_same(by_class.fit(X, y, weight), expected)
        streams = [small(**terms).partial_fit(X, y, range(N_CLASSES), weight * factor) for factor in (1, scale)]
        assert_same(*streams)
    valid = {"X_val": X, "y_val": y}
    scaled = small(**params).fit(X, y, weight, sample_weight_val=weight * scale, **valid)
    assert_same(scaled, small(**params).fit(X, y, weight, sample_weight_val=weight, **valid))
    if terms["direct"] != "dense":
        for factor, m in ((1, expected), (scale, model)):
            m.calibrate(X, y, weight * factor)
        assert_same(model, expected)


@pytest.mark.parametrize("scale", [2.0**-1021, 2.0**1023])
def test_only_ratios_of_masses_matter(scale):
    X, y, weight = make_data()
    Y = np.eye(N_CLASSES)[y] + np.eye(N_CLASSES)[(y + 1) % N_CLASSES] / 4
    expected = small(direct="sparse").fit(X, sp.csr_array(Y * weight[:, None]))
    assert_same(small(direct="sparse").fit(X, sp.csr_array(Y * (weight * scale)[:, None])), expected)
    assert expected.score(X, sp.csr_array(Y * scale)) == expected.score(X, sp.csr_array(Y))


def bias_at_start(X, y, sample_weight=None, *, stream=False, **params):
    """The bias, which SGD of such a low rate leaves where it started."""
    model = small(direct="dense", optimizer="sgd", learning_rate=1e-12, **params)
    return (
        model.partial_fit(X, y, range(N_CLASSES), sample_weight) if stream else model.fit(X, y, sample_weight)
    ).intercept_


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("heavy", [9.0, 1e6, 1e300])
def test_weights_of_rows_classes_and_masses_are_in_the_prior(heavy, stream):
    X, y, _ = make_data()
    weights = np.where(np.arange(N_CLASSES) == 1, heavy, 1.0)
    expected = np.log(np.maximum(weights / weights.sum(), np.finfo(float).tiny))
    assert_allclose(bias_at_start(X, y, weights[y], stream=stream), expected, rtol=1e-5)
    assert_allclose(bias_at_start(X, y, class_weight=dict(enumerate(weights)), stream=stream), expected, rtol=1e-5)
    Y = sp.csr_array(np.eye(N_CLASSES)[y])
    assert_allclose(bias_at_start(X, Y, weights[y], stream=stream), expected, rtol=1e-5)
    assert_allclose(bias_at_start(X, Y, class_weight=dict(enumerate(weights)), stream=stream), expected, rtol=1e-5)


def test_given_class_counts_are_weighted_too():
    X, y, _ = make_data(8)
    model = small(direct="dense", optimizer="sgd", learning_rate=1e-12, class_weight={1: 3.0})
    model.partial_fit(X, y, n_classes=N_CLASSES, class_counts=[98, 8, 8, 8])
    assert_allclose(model.intercept_, np.log(np.array([100, 30, 10, 10]) / 150), rtol=1e-5)
    with pytest.raises(ValueError, match="class_counts must have a finite sum"):
        small().partial_fit(X, y, n_classes=N_CLASSES, class_counts=[1e308] * N_CLASSES)


def test_a_class_none_of_whose_rows_counts_is_rare():
    X, y, _ = make_data()
    for bias in (bias_at_start(X, y, (y > 0) * 1.0), bias_at_start(X, y, class_weight={0: 0})):
        assert_allclose(bias, np.log(np.array([1, 50, 50, 50]) / 151), rtol=1e-5)


def test_weighted_counts_of_masses():
    target = SoftTargets(sp.csr_array([[0.25, 0.75], [1.0, 0.0]]))
    assert_allclose(target.counts(2, np.array([2.0, 0.5])), [1.0, 1.5])


@pytest.mark.parametrize("terms", TERMS)
def test_rows_without_weight_are_as_if_they_were_not_there(terms):
    X, y, weight = make_data()
    weight[np.random.default_rng(1).random(200) < 0.5] = 0
    kept = weight > 0
    for params in ({}, {"early_stopping": True}, *([{"loss": "sampled_softmax"}] if terms != TERMS[0] else [])):
        params = params | terms
        assert_same(small(**params).fit(X, y, weight), small(**params).fit(X[kept], y[kept], weight[kept]))
    models = [small(**terms).fit(X, y) for _ in range(2)]
    models[0].partial_fit(X, y, sample_weight=weight)
    models[1].partial_fit(X[kept], y[kept], sample_weight=weight[kept])
    assert_same(*models)


def test_rows_of_classes_without_weight_are_as_if_they_were_not_there():
    X, y, _ = make_data()
    kept = y != 2
    model = small(class_weight={2: 0.0}, early_stopping=True).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2, 3]
    X_val, y_val = X[kept], y[kept]
    other = small(class_weight={2: 0.0}, early_stopping=True)
    assert_same(
        other.fit(X, y, X_val=X, y_val=y),
        small(early_stopping=True, class_weight={2: 0}).fit(X, y, X_val=X_val, y_val=y_val),
    )


def test_early_stopping_holds_out_rows_that_count():
    X, y, _ = make_data(40)
    weight = np.zeros(40)
    weight[[3, 8, 20, 29]] = 1
    for seed in range(10):
        model = small(early_stopping=True, random_state=seed).fit(X, y, weight)
        assert np.isfinite(model.validation_curve_).all()
    X, y = X[:12].toarray(), y[:12] % 2
    BaggingClassifier(small(early_stopping=True), n_estimators=20, random_state=0).fit(X, y)


def test_one_row_that_counts_cannot_be_held_out():
    X, y, _ = make_data(40)
    with pytest.raises(ValueError, match="early_stopping needs at least two rows that count, got 1"):
        small(early_stopping=True).fit(X, y, np.arange(40) == 7)


def test_a_chunk_without_weight_teaches_nothing():
    X, y, weight = make_data()
    model, other = (small().partial_fit(X, y, range(N_CLASSES), weight) for _ in range(2))
    model.partial_fit(X, y, sample_weight=np.zeros(200))
    model.set_params(class_weight=dict.fromkeys(range(N_CLASSES), 0.0)).partial_fit(X, y)
    assert_same(model, other)
    assert_array_equal(model._state.class_counts, other._state.class_counts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, X, y, zero: m.fit(X, y, zero), "sample_weight must not be all zero"),
        (lambda m, X, y, zero: m.partial_fit(X, y, range(4), zero), "sample_weight must not be all zero"),
        (lambda m, X, y, zero: m.fit(X, y).score(X, y, zero), "sample_weight must not be all zero"),
        (lambda m, X, y, zero: m.fit(X, y).calibrate(X, y, zero), "at least 30 rows to calibrate on, got 0 that count"),
        (
            lambda m, X, y, zero: m.set_params(class_weight=dict.fromkeys(range(4), 0)).partial_fit(X, y, range(4)),
            "sample_weight with class_weight must not be all zero",
        ),
        (
            lambda m, X, y, zero: m.set_params(class_weight={1: 0}, early_stopping=True).fit(
                X, y, X_val=X[1:2], y_val=[1]
            ),
            "sample_weight_val with class_weight must not be all zero",
        ),
    ],
)
def test_nothing_is_computed_from_no_weight(call, message):
    X, y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        call(small(direct="sparse"), X, y, np.zeros(200))
