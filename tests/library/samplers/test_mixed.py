"""Mixtures of samplers draw fixed shares from each, and expect a class as often as all parts together do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastsoftmax import sampled_cross_entropy
from fastsoftmax.samplers import Custom, InBatch, LearnedUnigram, Mixed, Uniform, Unigram
from fastsoftmax.samplers.mixed import split

COUNTS = np.array([50, 3, 0, 17, 1, 0, 120, 8, 8, 33])
LOW, HIGH = Custom(np.arange(10) < 3), Custom(np.arange(10) >= 3)


class Recorder(Uniform):
    """A sampler that follows a model, or says so."""

    follows_model = True

    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.calls = []

    def observe(self, target):
        self.calls.append(("observe", target))

    def follow(self, V, bias):
        self.calls.append(("follow", V, bias))

    def _propose(self, n, rng, target=None, hidden=None):
        self.calls.append(("draw", n, target, hidden))
        return super()._propose(n, rng)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8))
def test_split_is_the_nearest_to_the_shares(n, shares):
    counts = split(n, tuple(shares))
    assert sum(counts) == n
    assert np.all(np.abs(np.array(counts) - n * np.array(shares) / sum(shares)) < 1 + 1e-6)


@pytest.mark.parametrize(
    ("n", "shares", "expected"),
    [
        (10, (0.7, 0.3), (7, 3)),
        (100, (0.29, 0.71), (29, 71)),
        (3, (0.5, 0.5), (2, 1)),
        (1, (0.2, 0.5, 0.3), (0, 1, 0)),
        (7, (0.0, 1.0), (0, 7)),
        (5, (0.0,), (0,)),
    ],
)
def test_split(n, shares, expected):
    assert split(n, shares) == expected


def test_shares_of_the_draws_are_exact():
    mixed = Mixed([LOW, HIGH], shares=[1, 3])
    for n, n_low in [(8, 2), (9, 2), (10, 3), (11, 3)]:
        class_ids, log_expected = mixed.draw(n, np.random.default_rng(n))
        assert (class_ids < 3).sum() == n_low
        np.testing.assert_allclose(np.exp(log_expected), np.where(class_ids < 3, n_low / 3, (n - n_low) / 7))


def test_expected_counts_are_the_sum_over_parts():
    """This includes a class that only the other sampler was likely to draw, and rounded shares; simulations agree."""
    unigram, uniform = Unigram(COUNTS), Uniform(10)
    mixed, rng, repeats = Mixed([unigram, uniform], shares=[0.6, 0.4]), np.random.default_rng(0), 20_000
    expected = 4 * unigram.probabilities() + 3 * uniform.probabilities()
    np.testing.assert_allclose(np.exp(mixed.log_expected_counts(np.arange(10), 7)), expected, rtol=1e-14)
    observed = np.zeros(10)
    for _ in range(repeats):
        class_ids, log_expected, log_expected_targets = mixed.draw_for(7, rng, np.array([2, 6]))
        observed += np.bincount(class_ids, minlength=10)
    np.testing.assert_allclose(np.exp(log_expected), expected[class_ids], rtol=1e-14)
    np.testing.assert_allclose(np.exp(log_expected_targets), expected[[2, 6]], rtol=1e-14)
    assert stats.chisquare(observed, repeats * expected).pvalue > 1e-3
    assert stats.chisquare(observed, repeats * 7 * mixed.probabilities()).pvalue < 1e-6  # the shares are rounded


def test_probabilities():
    mixed = Mixed([LOW, HIGH, Uniform(10)], shares=[1, 2, 1])
    np.testing.assert_allclose(mixed.probabilities(), np.where(np.arange(10) < 3, 1 / 12, 1 / 14) + 1 / 40)
    np.testing.assert_allclose(Mixed([LOW, HIGH]).probabilities(), np.where(np.arange(10) < 3, 1 / 6, 1 / 14))
    assert Mixed([LOW, HIGH], [5e307, 1.5e308]).shares == (0.25, 0.75)


def test_independent_tries_of_unique_draws_are_from_the_mixture():
    mixed = Mixed([Unigram(COUNTS), LOW], shares=[3, 1])
    tries = mixed._draw(200_000, np.random.default_rng(1))
    drawable = mixed.probabilities() > 0
    observed = np.bincount(tries, minlength=10)
    assert stats.chisquare(observed[drawable], 200_000 * mixed.probabilities()[drawable]).pvalue > 1e-3
    pairs = np.bincount(10 * tries[::2] + tries[1::2], minlength=100)
    q = np.outer(mixed.probabilities(), mixed.probabilities()).ravel()
    often = q > 1e-4
    assert stats.chisquare(pairs[often], pairs[often].sum() * q[often] / q[often].sum()).pvalue > 1e-3
    assert mixed._n_drawable == 9
    assert len(np.unique(mixed.draw(9, 0, unique=True)[0])) == 9


def test_the_batch_comes_beside_the_draws():
    target = np.array([6, 3, 6, 0])
    parts = [Unigram(COUNTS), InBatch(COUNTS, least=0), Uniform(10)]
    mixed = Mixed(parts, shares=[2, 5, 1])
    class_ids, log_expected, log_expected_targets = mixed.draw_for(9, np.random.default_rng(2), target)
    assert len(class_ids) == 9 + 4
    np.testing.assert_array_equal(class_ids[6:10], target)
    expected = 6 * parts[0].probabilities() + 3 * COUNTS / COUNTS.sum() + 3 * 0.1
    np.testing.assert_allclose(np.exp(log_expected), expected[class_ids], rtol=1e-14)
    np.testing.assert_allclose(np.exp(log_expected_targets), expected[target], rtol=1e-14)
    class_ids, log_expected = mixed.draw(8, np.random.default_rng(2))  # here it has a share: 2, 5 and 1 of 8
    expected = 2 * parts[0].probabilities() + 5 * COUNTS / COUNTS.sum() + 0.1
    np.testing.assert_allclose(np.exp(log_expected), expected[class_ids], rtol=1e-14)


def test_nothing_but_the_batch():
    target = np.array([6, 3])
    drawn = Mixed([InBatch(COUNTS, least=0)]).draw_for(9, None, target)
    np.testing.assert_array_equal(drawn, InBatch(COUNTS, least=0).draw_for(9, None, target))


def test_the_batch_takes_part_however_small_the_share_of_a_mixture_with_it():
    target = np.array([6, 3, 6, 0])
    inner = Mixed([InBatch(COUNTS, least=0), Uniform(10)])
    mixed = Mixed([inner, Uniform(10)], shares=[1e-6, 1])
    class_ids, log_expected, _ = mixed.draw_for(9, np.random.default_rng(0), target)
    assert mixed.n_batches == 1  # a loss counts on it
    np.testing.assert_array_equal(class_ids[:4], target)
    np.testing.assert_allclose(np.exp(log_expected), (3 * COUNTS / COUNTS.sum() + 0.9)[class_ids], rtol=1e-14)


def test_the_estimate_of_the_partition_function_is_unbiased():
    """Its mean is right within 4 standard errors, as for any sampler."""
    rng = np.random.default_rng(3)
    X, W, target = np.ones((1, 1)), rng.standard_normal((10, 1)), np.array([7])
    mixed, estimates = Mixed([Unigram(COUNTS), Uniform(10)]), []
    for _ in range(1000):
        class_ids, log_expected, _ = mixed.draw_for(5, rng, target)
        loss = sampled_cross_entropy(X, W, target, class_ids=class_ids, log_expected_counts=log_expected, n_threads=1)
        estimates.append(np.expm1(loss))
    z = W[:, 0]
    error = np.mean(estimates) - (np.exp(z - z[7]).sum() - 1)
    assert abs(error) < 4 * np.std(estimates) / np.sqrt(len(estimates))


def test_hooks_reach_the_parts():
    learned, recorder = LearnedUnigram(10), Recorder(10)
    mixed = Mixed([learned, Mixed([recorder, Uniform(10)])])
    assert mixed.follows_model
    assert not Mixed([learned, Uniform(10)]).follows_model
    target, V, bias, hidden = np.arange(3).repeat(20), np.ones((10, 2)), np.ones(10), np.ones((60, 2))
    mixed.observe(target)
    assert learned.probabilities()[0] > learned.probabilities()[9]
    mixed.follow(V, bias)
    mixed.draw_for(8, np.random.default_rng(0), target, hidden)
    observed, followed, drawn = recorder.calls
    assert observed[1] is target
    assert followed[1] is V
    assert followed[2] is bias
    assert drawn[1] == 2
    assert drawn[2] is target
    assert drawn[3] is hidden


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Mixed([]), ValueError, "samplers must hold at least one sampler, got none"),
        (lambda: Mixed(Uniform(3)), TypeError, r"samplers must be a sequence of samplers, got Uniform\(3\)"),
        (lambda: Mixed(["uniform"]), TypeError, "samplers must hold samplers of fastsoftmax.samplers, got 'uniform'"),
        (lambda: Mixed([Uniform(3), Uniform(4)]), ValueError, "samplers must have the same classes, got 3 and 4"),
        (
            lambda: Mixed([LOW, HIGH], [1]),
            ValueError,
            r"shares must have shape \(2,\), one number a sampler, got \(1,\)",
        ),
        (lambda: Mixed([LOW, HIGH], [1, 0]), ValueError, r"shares must be finite and positive, got \[1.0, 0.0\]"),
        (lambda: Mixed([LOW, HIGH], [1, np.nan]), ValueError, r"shares must be finite and positive, got \[1.0, nan\]"),
        (lambda: Mixed([LOW, HIGH], ["a", "b"]), TypeError, "shares must hold real numbers"),
        (lambda: Mixed([LOW, HIGH]).draw(0, 0), ValueError, "n must be at least 1, got 0"),
        (lambda: Mixed([LOW, LOW]).draw(4, 0, unique=True), ValueError, "n must be at most 3, the classes of nonzero"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
