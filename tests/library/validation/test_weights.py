"""Weights at any scale: only their ratios matter, and powers of two change no digit of them."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax import SoftmaxRegression, cross_entropy, linear_cross_entropy, metrics, sampled_cross_entropy, samplers
from fastsoftmax.validation import of_mean_one, ratios
from fastsoftmax.validation.weights import of_sum_one

SCALES = (2.0**-1021, 2.0**-500, 2.0**1000, 2.0**1023)


@pytest.mark.parametrize("scale", SCALES)
def test_ratios_keep_all_digits(scale):
    weight = 1 - np.random.default_rng(0).random(100) / 2
    assert_array_equal(ratios(weight * scale), ratios(weight))
    assert_array_equal(of_mean_one(weight * scale), weight / weight.mean())
    assert 0.5 <= ratios(weight * scale).max() < 1


@pytest.mark.parametrize("top", [-1074, -1030, -1023, -1022, 0, 1000, 1024])
def test_one_array_of_weights_has_the_bits_of_a_product_with_one(top):
    rng = np.random.default_rng(0)
    weight = np.ldexp(1 - rng.random(2000) / 2, rng.integers(-1080, top + 1, 2000))
    assert_array_equal(ratios(weight), ratios(weight, np.ones(2000)))
    assert np.array_equal(ratios([3, 0, 5]), [0.375, 0, 0.625]) and ratios([]).size == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -1.0])
def test_the_first_wrong_weight_is_named(wrong):
    X, y, weight = np.eye(4), [0, 1, 0, 1], [0.0, 1.0, wrong, -2.0]
    with pytest.raises(ValueError, match=f"sample_weight must be finite and not negative, got {wrong} at position 2"):
        SoftmaxRegression().fit(X, y, weight)


@pytest.mark.parametrize("scale", [*SCALES, 2.0**-400, 2.0**400])
def test_sums_of_one_keep_all_digits(scale):
    rng = np.random.default_rng(0)
    masses, rows = 1 - rng.random(100) / 2, np.sort(rng.integers(0, 30, 100))
    rows[rows == 7] = 8
    expected = masses / np.bincount(rows, masses)[rows]
    found, counted = of_sum_one(masses * scale, rows, 31)
    assert_array_equal(found, expected)
    assert_array_equal(np.flatnonzero(~counted), np.setdiff1d(np.arange(31), rows))
    apart, _ = of_sum_one(np.append(masses * scale, [2.0**-1074, 2.0**1023]), np.append(rows, [31, 31]), 32)
    assert_array_equal(apart, [*expected, 0, 1])


def test_products_of_weights_that_overflow_or_underflow():
    assert_array_equal(of_mean_one([1e-300, 1e300], [1e300, 1e-300]), [1, 1])
    assert_array_equal(of_mean_one([1e300, 1e300], [1e300, 3e300]), [0.5, 1.5])
    assert_allclose(of_mean_one([1e-300, 1e-300], [1e-300, 3e-300]), [0.5, 1.5], rtol=1e-15)
    assert_array_equal(of_mean_one([2.0**-1074, 0, 2.0**1023]), [0, 0, 1])
    assert_array_equal(ratios([0.0, 0.0]), [0, 0])
    assert_array_equal(of_mean_one([]), [])


def test_the_mean_is_over_rows_that_have_a_weight():
    assert_array_equal(of_mean_one([0, 1, 3, 0]), [0, 0.5, 1.5, 0])


@pytest.mark.parametrize("scale", SCALES)
def test_class_weights_of_the_cross_entropy(scale):
    rng = np.random.default_rng(0)
    logits, weight, target = rng.standard_normal((30, 5)), 1 - rng.random(5) / 2, rng.integers(0, 5, 30)
    for smoothing in (0.0, 0.1):
        options = {"label_smoothing": smoothing, "return_grad": True}
        loss, dlogits = cross_entropy(logits, target, weight=weight, **options)
        scaled_loss, scaled_dlogits = cross_entropy(logits, target, weight=weight * scale, **options)
        assert_allclose([scaled_loss, *scaled_dlogits.ravel()], [loss, *dlogits.ravel()], rtol=1e-14)
        W = rng.standard_normal((5, 4))
        expected, (_, dW, _) = linear_cross_entropy(logits[:, :4], W, target, weight=weight, **options)
        loss, (_, scaled_dW, _) = linear_cross_entropy(logits[:, :4], W, target, weight=weight * scale, **options)
        assert_allclose(loss, expected, rtol=1e-14)
        assert_allclose(scaled_dW, dW, rtol=1e-12)


def test_class_weights_of_other_classes_do_not_hide_those_of_the_targets():
    logits = np.random.default_rng(0).standard_normal((4, 3))
    expected = cross_entropy(logits, [0, 0, 1, 0])
    weight = np.array([2.0**-1060, 2.0**-1060, 2.0**1023])
    assert_allclose(cross_entropy(logits, [0, 0, 1, 0], weight=weight), expected)
    assert_allclose(linear_cross_entropy(logits, np.eye(3), np.array([0, 0, 1, 0]), weight=weight), expected)


def test_sums_and_probabilities_are_in_the_scale_of_the_weights():
    logits, target = np.zeros((2, 2)), [0, 1]
    weight = np.full(2, 2.0**-30)
    assert_allclose(cross_entropy(logits, target, weight=weight, reduction="sum"), 2.0**-29 * np.log(2))
    assert_allclose(cross_entropy(logits, np.eye(2), weight=weight), 2.0**-30 * np.log(2))


@pytest.mark.parametrize("scale", SCALES)
def test_weights_of_metrics(scale):
    weight = 1 - np.random.default_rng(0).random(20) / 2
    log_proba = -np.arange(20.0)
    assert metrics.log_loss(log_proba, weight * scale) == metrics.log_loss(log_proba, weight)
    assert metrics.perplexity(log_proba, weight * scale) == metrics.perplexity(log_proba, weight)


@pytest.mark.parametrize("scale", SCALES)
def test_counts_of_samplers(scale):
    counts = 1 - np.random.default_rng(0).random(20) / 2
    for kind in (samplers.Unigram, samplers.Custom, samplers.InBatch):
        assert_allclose(kind(counts * scale).probabilities(), kind(counts).probabilities(), rtol=1e-14)


@pytest.mark.parametrize("scale", SCALES)
def test_masses_of_true_classes(scale):
    rng = np.random.default_rng(0)
    masses = np.where(rng.random((6, 4)) < 0.7, 1 - rng.random((6, 4)) / 2, 0)
    masses[:, 0] = 1 - rng.random(6) / 2
    X, W = rng.standard_normal((6, 3)), rng.standard_normal((4, 3))
    common = {"class_ids": np.arange(4), "log_expected_counts": np.zeros(4)}
    expected = sampled_cross_entropy(X, W, sp.csr_array(masses), **common)
    masses *= np.where(np.arange(6) % 2, scale, 1)[:, None]  # each row has a scale of its own
    assert_allclose(sampled_cross_entropy(X, W, sp.csr_array(masses), **common), expected, rtol=1e-14)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_weights_of_softmax_regression_scale_c(solver):
    rng = np.random.default_rng(0)
    X, y, weight = rng.standard_normal((60, 3)), np.arange(60) % 3, 1 - rng.random(60) / 2
    expected = SoftmaxRegression(solver=solver).fit(X, y, weight)
    for scale in (2.0**-1000, 2.0**900):
        with np.errstate(all="raise", under="ignore"):
            model = SoftmaxRegression(C=1 / scale, solver=solver).fit(X, y, weight * scale)
        assert_allclose(model.coef_, expected.coef_, rtol=1e-10)
    many = SoftmaxRegression(solver=solver).fit(X, y, weight * 2.0**1000)  # as good as no penalty
    assert_allclose(many.coef_, SoftmaxRegression(C=np.inf, solver=solver).fit(X, y, weight).coef_, rtol=1e-6)
    with pytest.warns(ConvergenceWarning):  # nothing but penalty
        few = SoftmaxRegression(solver=solver).fit(X, y, weight * 2.0**-1000)
    assert_allclose(few.coef_, 0, atol=1e-100)
    assert np.isfinite(few.intercept_).all()


@pytest.mark.parametrize(
    ("weight", "params", "message"),
    [
        (np.full(40, 1e308), {}, "sample_weight must have a finite sum, got numbers up to 1e"),
        (
            np.full(40, 1e300),
            {"class_weight": {0: 1e300}},
            "sample_weight with class_weight must have a finite sum, got .*inf",
        ),
        (
            None,
            {"class_weight": dict.fromkeys(range(3), 1e308)},
            "sample_weight with class_weight must have a finite sum",
        ),
        (np.full(40, 1e-310), {"C": 0.1}, "C times the sum of the weights must be at least 1e-308"),
        (np.zeros(40), {}, "sample_weight must not be all zero"),
    ],
)
def test_softmax_regression_refuses_sums_that_overflow(weight, params, message):
    X = np.random.default_rng(0).standard_normal((40, 3))
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(**params).fit(X, np.arange(40) % 3, weight)
