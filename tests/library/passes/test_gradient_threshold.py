"""Rounding of small probabilities in the gradient. With X = I, the gradient of W is that of the logits."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from flat_options import flat_classifier

from fastsoftmax import optimizers
from fastsoftmax.linear import linear_cross_entropy
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import Estimate

DTYPES = (np.float32, np.float64)


def problem(n_rows, n_classes, n_features, dtype, *, order="C", seed=0, spread=3.0):
    """X, W, target and bias with a peaked softmax."""
    rng = np.random.default_rng(seed)
    X = np.eye(n_rows, dtype=dtype) if n_features is None else rng.standard_normal((n_rows, n_features)).astype(dtype)
    W = np.asarray(rng.standard_normal((n_classes, X.shape[1])), dtype, order=order)
    W *= spread / np.sqrt(n_features or 1)
    return X, W, rng.integers(0, n_classes, n_rows), rng.standard_normal(n_classes).astype(dtype)


def keys_of(seed, n_rows):
    return tiles.draw_row_keys(np.random.default_rng(seed), n_rows)


def rounded_gradients(X, W, target, bias, threshold, row_keys, row_weight):
    """The float64 twin, if no tile is computed in full."""
    z = reference.linear_logits(X, W, bias)
    dlogits = reference.round_small(reference.softmax(z, axis=1), threshold, row_keys)
    rows = np.arange(len(z))
    dlogits[rows, target] = reference.softmax(z, axis=1)[rows, target] - 1
    dlogits *= row_weight[:, None]
    return dlogits @ W.astype(float), dlogits.T @ X.astype(float), dlogits.sum(axis=0)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    ("n_rows", "n_classes", "n_features"), [(37, 501, 19), (7, 300, 33), (1, 1000, 5), (150, 700, 8)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_twin(isa, dtype, n_rows, n_classes, n_features, order):
    X, W, target, bias = problem(n_rows, n_classes, n_features, dtype, order=order)
    weight = np.random.default_rng(1).uniform(0.5, 2, n_classes)
    ignored = target.copy()
    ignored[::5] = -100 if n_rows > 1 else target[0]
    row_weight = np.where(ignored >= 0, weight[target], 0)
    threshold, options = 0.02, {"weight": weight, "reduction": "sum", "return_grad": True}
    loss, exact = linear_cross_entropy(X, W, ignored, bias, **options)
    loss_too, gradients = linear_cross_entropy(
        X, W, ignored, bias, gradient_threshold=threshold, random_state=3, n_threads=2, **options
    )
    assert loss_too == loss
    truth = rounded_gradients(X, W, target, bias, threshold, keys_of(3, n_rows), row_weight)
    for ours, twin, plain in zip(gradients, truth, exact, strict=True):
        # in float32 a draw beside its bar may fall to the other side
        tolerance = 1e-11 if dtype == np.float64 else 1e-5
        np.testing.assert_allclose(ours, twin, atol=tolerance * np.abs(twin).max())
        assert not np.array_equal(ours, plain)


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_element_within_the_bound(isa, dtype):
    threshold = 0.01
    X, W, target, _ = problem(50, 900, None, dtype)
    options = {"reduction": "sum", "return_grad": True}
    exact = linear_cross_entropy(X, W, target, **options)[1][1].T
    ours = linear_cross_entropy(X, W, target, gradient_threshold=threshold, random_state=0, **options)[1][1].T
    is_target = np.arange(900) == target[:, None]
    kept = (exact >= threshold) | is_target
    np.testing.assert_array_equal(ours[kept], exact[kept])
    assert set(np.unique(ours[~kept])) == {0, dtype(threshold)}
    assert np.abs(ours - exact).max() < threshold
    assert ours.astype(bool).sum(axis=1).max() < 2 / threshold


def test_without_bias(isa):
    """Means over seeds are compared in standard errors; their variance is t p (1 - p / t) / n at most."""
    threshold, n_seeds = 0.01, 400
    X, W, target, _ = problem(40, 300, None, np.float64)
    options = {"reduction": "sum", "return_grad": True}
    exact = linear_cross_entropy(X, W, target, **options)[1][1].T
    total = np.zeros_like(exact)
    for seed in range(n_seeds):
        total += linear_cross_entropy(X, W, target, gradient_threshold=threshold, random_state=seed, **options)[1][1].T
    small = (exact > 0) & (exact < threshold)
    p = exact[small]
    z = (total[small] / n_seeds - p) / np.sqrt(p * (threshold - p) / n_seeds)
    often = n_seeds * p / threshold > 10  # normal, nearly
    assert np.abs(z[often]).max() < 5.5
    assert abs(z[often].mean()) * np.sqrt(often.sum()) < 4
    assert abs(z[often].var() - 1) < 0.1
    row_z = (total - n_seeds * exact).sum(axis=1) / np.sqrt(
        n_seeds * np.where(small, exact * (threshold - exact), 0).sum(axis=1)
    )
    assert np.abs(row_z).max() < 4.5  # draws of a row are independent, too


def test_draws_do_not_depend_on_threads_or_chunks(isa):
    X, W, target, bias = problem(300, 600, 12, np.float64)
    options = {"return_grad": True, "gradient_threshold": 0.02, "random_state": 5}
    loss, first = linear_cross_entropy(X, W, target, bias, n_threads=1, **options)
    for n_threads in (2, 3):
        loss_too, gradients = linear_cross_entropy(X, W, target, bias, n_threads=n_threads, **options)
        assert loss_too == loss
        for a, b in zip(first, gradients, strict=True):
            np.testing.assert_array_equal(a, b)
    for working_memory in (0, 100_000, 500_000):
        gradients = linear_cross_entropy(X, W, target, bias, working_memory=working_memory, **options)[1]
        for a, b in zip(first, gradients, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12 * np.abs(a).max())


@pytest.mark.parametrize("n_threads", [1, 2])
def test_tiles_with_many_entries_are_exact(isa, n_threads):
    X, W, target, bias = problem(64, 2000, None, np.float64)
    W[:1000] = 0.01 * W[:1000]
    W[1000:] -= 20
    bias[:] = 0
    options = {"reduction": "sum", "return_grad": True, "n_threads": n_threads}
    exact = linear_cross_entropy(X, W, target, bias, **options)[1]
    for threshold, share in ((1e-12, 1.0), (1e-3, 0.49)):
        ours = linear_cross_entropy(X, W, target, bias, gradient_threshold=threshold, random_state=0, **options)[1]
        assert (ours[1] == exact[1]).mean() >= share
        assert np.abs(ours[1] - exact[1]).max() < threshold
        np.testing.assert_allclose(ours[0], exact[0], atol=threshold)
    assert not np.array_equal(ours[1], exact[1])
    assert (ours[1][:900] == exact[1][:900]).all()


def test_not_finite_is_not_rounded_away(isa):
    X, W, target, _ = problem(20, 500, None, np.float32)
    W[7, 3] = np.inf
    options = {"reduction": "sum", "return_grad": True}
    exact = linear_cross_entropy(X, W, target, **options)[1][1]
    ours = linear_cross_entropy(X, W, target, gradient_threshold=0.01, random_state=0, **options)[1][1]
    assert np.isnan(exact[:, 3]).any()
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(exact))


def test_sparse_input_stays_exact():
    X, W, target, bias = problem(20, 200, 30, np.float32)
    options = {"return_grad": True}
    exact = linear_cross_entropy(sp.csr_matrix(X), W, target, bias, **options)[1]
    ours = linear_cross_entropy(sp.csr_matrix(X), W, target, bias, gradient_threshold=0.1, **options)[1]
    np.testing.assert_array_equal(ours[1], exact[1])


@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan, "0.1", True])
def test_bad_values(value):
    X, W, target, _ = problem(3, 4, 2, np.float32)
    with pytest.raises((ValueError, TypeError), match="gradient_threshold"):
        linear_cross_entropy(X, W, target, gradient_threshold=value)
    with pytest.raises((ValueError, TypeError), match="gradient_threshold"):
        flat_classifier(gradient_threshold=value).fit(X, target)


def test_not_with_label_smoothing():
    X, W, target, _ = problem(3, 4, 2, np.float32)
    with pytest.raises(ValueError, match="label_smoothing"):
        linear_cross_entropy(X, W, target, gradient_threshold=0.1, label_smoothing=0.1)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("rule", [optimizers.SGD, optimizers.Adagrad])
def test_a_step_is_the_rule_with_the_rounded_gradient(isa, rule, alpha):
    X, W, target, bias = problem(40, 500, 9, np.float64)
    gradients = linear_cross_entropy(X, W, target, bias, return_grad=True, gradient_threshold=0.02, random_state=1)[1]
    optimizer = rule(alpha=alpha).rule(0.1)
    model = Model(W=W.copy(), bias=bias.copy())
    model.prepare(optimizer)
    before = {name: a.copy() for name, a in model.arrays().items()}
    rounding = tiles.Rounding(0.02, keys_of(1, len(X)))
    Runner(model, X, n_threads=2).step(
        np.arange(len(X)), target, np.full(len(X), 1 / len(X)), optimizer, Estimate(rounding=rounding)
    )
    for name, gradient in (("W", gradients[1]), ("bias", gradients[2])):
        state = before.get(f"state.{name}")
        w, state = reference.update(optimizer, before[name], gradient, state, alpha if name == "W" else 0.0)
        np.testing.assert_allclose(model.arrays()[name], w, rtol=1e-10, atol=1e-12)
        if state is not None:
            np.testing.assert_allclose(model.state[name], state, rtol=1e-10, atol=1e-15)


def test_classifier(sparse_X):
    X = sparse_X(300, 50, np.float32, n_entries=12)
    y = np.random.default_rng(0).integers(0, 200, 300)

    def fitted(threshold, n_threads=1):
        return flat_classifier(
            loss="softmax", hidden_size=16, max_iter=8, learning_rate=0.3, batch_size=64, random_state=0,
            n_threads=n_threads, gradient_threshold=threshold,
        ).fit(X, y)  # fmt: skip

    exact, rounded = fitted(0.0), fitted(0.005)
    for n_threads in (2, 3):
        np.testing.assert_array_equal(fitted(0.005, n_threads).hidden_coef_, rounded.hidden_coef_)
    assert not np.array_equal(exact.hidden_coef_, rounded.hidden_coef_)
    assert rounded.loss_curve_[-1] < 1.05 * exact.loss_curve_[-1]
    assert rounded.loss_curve_[-1] < 0.8 * rounded.loss_curve_[0]
