import numpy as np
import pytest
from scipy.optimize import minimize

from fastsoftmax.mixing.weights import fit_weights, mixed


def rows(seed=0, n_rows=300, n_experts=3, n_buckets=4):
    rng = np.random.default_rng(seed)
    return rng.random((n_rows, n_experts)) ** 3, rng.integers(n_buckets, size=n_rows)


def log_likelihood(proba, weights, buckets=None):
    return np.log(mixed(proba, weights, buckets)).sum()


def test_weights_of_one_bucket_are_the_best_ones():
    proba, _ = rows()
    weights = fit_weights(proba, tol=1e-12)
    found = minimize(
        lambda w: -np.log(proba @ w).sum(), np.full(3, 1 / 3), bounds=[(0, 1)] * 3, method="SLSQP",
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-12},
    )  # fmt: skip
    np.testing.assert_allclose(weights[0], found.x, atol=1e-4)


@pytest.mark.parametrize("prior_rows", [0, 50])
def test_no_iteration_lowers_the_likelihood(prior_rows):
    proba, buckets = rows(1)
    overall = fit_weights(proba)
    before = -np.inf
    for max_iter in range(1, 30):
        weights = fit_weights(proba, max_iter=max_iter, tol=0)
        now = log_likelihood(proba, weights)
        assert now >= before - 1e-9
        before = now
    weights = fit_weights(proba, buckets, 4, prior_rows=prior_rows)
    assert log_likelihood(proba, weights, buckets) >= log_likelihood(proba, overall) - 1e-6


def test_weights_are_a_distribution_in_each_bucket():
    proba, buckets = rows(2)
    weights = fit_weights(proba, buckets, 6)  # the last two have no rows
    assert weights.shape == (6, 3) and weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights[4:], np.repeat(fit_weights(proba), 2, axis=0), atol=1e-6)


def test_buckets_differ_as_far_as_their_rows_say():
    proba, _ = rows(3, n_rows=2000, n_experts=2)
    buckets = np.arange(2000) % 2
    proba[buckets == 0, 0] *= 10
    alone = fit_weights(proba, buckets, 2, prior_rows=0)
    near, far = (fit_weights(proba, buckets, 2, prior_rows=n) for n in (100, 1e6))
    overall = fit_weights(proba)
    assert alone[0, 0] > near[0, 0] > overall[0, 0] + 0.1 and alone[1, 0] < near[1, 0] < overall[0, 0] - 0.1
    np.testing.assert_allclose(far, np.repeat(overall, 2, axis=0), atol=1e-2)


def test_an_expert_without_use_for_all_can_serve_a_bucket():
    proba = np.full((200, 2), [0.5, 0.001])
    proba[:4] = [0.001, 0.5]
    buckets = np.r_[np.zeros(4, dtype=int), np.ones(196, dtype=int)]
    assert fit_weights(proba, buckets, 2, prior_rows=0)[0, 1] > 0.95


def test_rows_that_nobody_expects_do_not_count():
    proba, _ = rows(4)
    more = np.r_[proba, np.zeros((5, 3))]
    np.testing.assert_allclose(fit_weights(more), fit_weights(proba))
    np.testing.assert_allclose(fit_weights(np.zeros((3, 2))), [[0.5, 0.5]])
    np.testing.assert_allclose(fit_weights(np.zeros((0, 2))), [[0.5, 0.5]])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"proba": [0.5]}, r"proba .*\(n_rows, n_experts\)"),
        ({"proba": [[-0.1, 0.5]]}, "proba .*-0.1"),
        ({"proba": [[np.nan, 0.5]]}, "proba .*nan"),
        ({"buckets": [0, 0]}, r"buckets .*\(1,\)"),
        ({"buckets": [2], "n_buckets": 2}, "buckets .*n_buckets - 1 = 1"),
        ({"buckets": [-1]}, "buckets .*-1"),
        ({"n_buckets": 0}, "n_buckets"),
        ({"prior_rows": -1}, "prior_rows"),
        ({"tol": -1}, "tol"),
    ],
)
def test_bad_input(kwargs, message):
    with pytest.raises(ValueError, match=message):
        fit_weights(**{"proba": [[0.2, 0.5]], **kwargs})


def test_buckets_are_integers():
    with pytest.raises(TypeError, match="buckets"):
        fit_weights([[0.2, 0.5]], [0.0])
