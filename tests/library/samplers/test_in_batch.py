"""In-batch negatives: how often they are to be expected, and that their gradient is the published correction's."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp

from fastsoftmax import sampled_cross_entropy
from fastsoftmax.samplers import InBatch, Mixed, Uniform, Unigram

COUNTS = np.array([50, 3, 0, 17, 1, 0, 120, 8, 8, 33])
P = COUNTS / COUNTS.sum()


def of_the_batch_alone():
    return InBatch(COUNTS, least=0)


def random_batches(n_batches, n_rows, own_class, rng):
    """Batches whose first row is of `own_class` and whose others are random."""
    targets = rng.choice(len(P), p=P, size=(n_batches, n_rows))
    targets[:, 0] = own_class
    return targets


def test_draws_are_the_targets_with_their_expected_counts():
    target = np.array([6, 3, 6, 0, 4])
    class_ids, log_expected, log_expected_targets = of_the_batch_alone().draw_for(1000, None, target)
    np.testing.assert_array_equal(class_ids, target)
    np.testing.assert_allclose(log_expected, np.log(4 * P[target]), rtol=1e-14)
    np.testing.assert_array_equal(log_expected_targets, log_expected)


def test_draws_depend_on_nothing_but_the_batch():
    target, sampler = np.array([6, 3, 6]), of_the_batch_alone()
    draws = [
        sampler.draw_for(n, np.random.default_rng(n), target, hidden) for n, hidden in [(1, None), (9, np.ones((3, 2)))]
    ]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 5, 6, 7, 9])
def test_small_batches_are_filled_up(n_rows):
    target = np.array([6, 3, 6, 0, 4, 7, 9, 8, 6])[:n_rows]
    class_ids, log_expected, log_expected_targets = InBatch(COUNTS, least=5).draw_for(
        1000, np.random.default_rng(0), target
    )
    n_others = max(n_rows - 1, 0)
    assert len(class_ids) == (n_rows if n_rows > 1 else 0) + max(5 - n_others, 0)
    np.testing.assert_array_equal(class_ids[: n_rows if n_rows > 1 else 0], target if n_rows > 1 else [])
    np.testing.assert_allclose(log_expected, np.log(max(5, n_others) * P[class_ids]), rtol=1e-14)
    np.testing.assert_allclose(log_expected_targets, np.log(max(5, n_others) * P[target]), rtol=1e-14)


def test_the_forecast_of_memory_has_the_table_of_small_batches():
    tracemalloc.start()
    try:
        sampler = InBatch(np.ones(100_000, np.float32))
        sampler.draw_for(1000, np.random.default_rng(0), np.arange(10))
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.9 * InBatch.bytes_per_class * 100_000 < left < InBatch.bytes_per_class * 100_000 + 2**16


def test_chi_square_and_expected_counts_over_random_batches():
    rng, sampler, n_batches, own = np.random.default_rng(0), of_the_batch_alone(), 20_000, 3
    observed, expected = np.zeros(10), np.zeros(10)
    for target in random_batches(n_batches, 6, own, rng):
        class_ids, log_expected, _ = sampler.draw_for(5, rng, target)
        observed += np.bincount(class_ids[1:], minlength=10)  # the draws of the first row
        expected[class_ids] = np.exp(log_expected)
    np.testing.assert_allclose(observed / n_batches, expected, atol=5 * np.sqrt(5 / 4 / n_batches))
    assert stats.chisquare(observed[P > 0], n_batches * expected[P > 0]).pvalue > 1e-3
    assert stats.chisquare(observed[P > 0], observed.sum() * Unigram(COUNTS, 0.9).probabilities()[P > 0]).pvalue < 1e-6


@pytest.mark.parametrize(
    "sampler",
    [
        of_the_batch_alone(),
        InBatch(COUNTS, least=12),
        Mixed([of_the_batch_alone(), Uniform(10)]),
        Mixed([Unigram(COUNTS), Uniform(10), InBatch(COUNTS)]),
    ],
    ids=repr,
)
def test_the_sum_over_negatives_is_unbiased(sampler):
    """The mean over random batches is the full sum, within 4 standard errors (about 1 %)."""
    rng, own, n_batches = np.random.default_rng(1), 6, 10_000
    z = np.where(P > 0, rng.standard_normal(10), -np.inf)
    estimates = []
    for target in random_batches(n_batches, 8, own, rng):
        class_ids, log_expected, _ = sampler.draw_for(5, rng, target)
        negatives = class_ids != own
        estimates.append(np.exp(z[class_ids] - log_expected)[negatives].sum())
    full = np.exp(z).sum() - np.exp(z[own])
    error = np.std(estimates) / np.sqrt(n_batches)
    assert error < 0.02 * full
    assert abs(np.mean(estimates) - full) < 4 * error


def paper_loss(X, W, bias, target, weight):
    """The loss of arXiv:2507.09331 over in-batch negatives, `weight` (1 - p_y) a constant; the mean over rows.

    The denominator has the negatives alone, corrected by the log of Q'(d) = Q(d) / (1 - Q(y)).
    """
    z = X @ W.T + bias
    losses = []
    for i, y in enumerate(target):
        negatives = [k for k in target if k != y]
        corrected = [z[i, k] - np.log(P[k] / (1 - P[y])) for k in negatives]
        losses.append(weight[i] * (logsumexp(corrected) - z[i, y]))
    return np.mean(losses)


@pytest.mark.parametrize("correct_target", [False, True])
def test_gradient_is_that_of_the_corrected_correction(correct_target):
    """The weight's p_y is estimated from the same negatives, as the sum over them divided by their expected number.

    (The paper divides by how many there are, without the row's own class.) Correcting the target's logit too is not it.
    """
    rng = np.random.default_rng(2)
    target = np.array([6, 3, 6, 0, 9, 4, 1])
    n, d = len(target), 3
    arrays = {"X": rng.standard_normal((n, d)), "W": rng.standard_normal((10, d)), "bias": rng.standard_normal(10)}
    class_ids, log_expected, log_expected_targets = of_the_batch_alone().draw_for(n, rng, target)
    _, (dX, rows, dW_rows, dbias_rows) = sampled_cross_entropy(
        arrays["X"],
        arrays["W"],
        target,
        arrays["bias"],
        class_ids=class_ids,
        log_expected_counts=log_expected,
        target_log_expected_counts=log_expected_targets if correct_target else None,
        return_grad=True,
    )
    gradients = {"X": dX, "W": np.zeros((10, d)), "bias": np.zeros(10)}
    gradients["W"][rows], gradients["bias"][rows] = dW_rows, dbias_rows

    z = arrays["X"] @ arrays["W"].T + arrays["bias"]
    negative_sums = [sum(np.exp(z[i, k]) / ((n - 1) * P[k]) for k in target if k != y) for i, y in enumerate(target)]
    positives = np.exp(z[np.arange(n), target])
    weight = 1 - positives / (positives + negative_sums)
    agree, step = [], 1e-6
    for name, gradient in gradients.items():
        for _ in range(5):
            direction = rng.standard_normal(gradient.shape)
            ahead, behind = (
                paper_loss(**arrays | {name: arrays[name] + s * direction}, target=target, weight=weight)
                for s in (step, -step)
            )
            agree.append(np.isclose((ahead - behind) / (2 * step), (gradient * direction).sum(), rtol=1e-6, atol=1e-9))
    assert not any(agree) if correct_target else all(agree)


@pytest.mark.parametrize("target", [[6], [6, 6, 6], []], ids=["one row", "one class", "no rows"])
def test_a_batch_without_negatives(target):
    target = np.array(target, np.int64)
    class_ids, log_expected, log_expected_targets = of_the_batch_alone().draw_for(8, None, target)
    assert len(class_ids) == (len(target) if len(target) > 1 else 0)
    assert np.isfinite(log_expected).all()
    assert len(log_expected_targets) == len(target)
    assert np.isneginf(log_expected_targets).all() == (len(target) <= 1)
    if not len(target):
        return
    X, W = np.ones((len(target), 2)), np.random.default_rng(0).standard_normal((10, 2))
    loss, (dX, _, dW, _) = sampled_cross_entropy(
        X, W, target, class_ids=class_ids, log_expected_counts=log_expected, return_grad=True
    )
    assert loss == 0
    assert not dX.any()
    assert not dW.any()


@settings(deadline=None)
@given(st.lists(st.sampled_from(np.flatnonzero(COUNTS).tolist()), max_size=30))
def test_whatever_is_drawn_was_to_be_expected(target):
    for sampler in (InBatch(COUNTS), Mixed([InBatch(COUNTS), Unigram(COUNTS)])):
        class_ids, log_expected, _ = sampler.draw_for(3, np.random.default_rng(0), np.array(target, np.int64))
        assert np.isfinite(log_expected).all()
        assert len(class_ids) == len(log_expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: InBatch([0, 0]), "counts must have at least one positive entry, got 2 zeros"),
        (
            lambda: InBatch(COUNTS, least=-1),
            "least must be at least 0, got -1",
        ),
        (
            lambda: InBatch(COUNTS).draw_for(3, None, np.array([6, 2])),
            "target must hold classes that InBatch .*, got 2",
        ),
        (
            lambda: InBatch(COUNTS).draw_for(3, None, np.array([6, 2]), unique=True),
            "unique must be False for a batch's own targets, which may repeat, got True for InBatch",
        ),
        (
            lambda: Mixed([Mixed([InBatch(COUNTS), Uniform(10)]), Uniform(10)]).draw_for(
                3, None, np.array([6, 2]), unique=True
            ),
            "unique must be False for a batch's own targets.*Mixed",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
