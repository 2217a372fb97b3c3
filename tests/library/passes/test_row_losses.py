"""Losses of rows with any number of targets, in the dense passes and in those over pairs, against dense float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.optimizers import SGD
from fastsoftmax.passes import clipping, pairs, row_losses, tiles
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.passes.row_targets import RowTargets

LOSSES = [row_losses.SOFTMAX, row_losses.DECOUPLED, row_losses.LOGISTIC, row_losses.SQUARED_HINGE]
RTOL = {np.float32: 3e-5, np.float64: 1e-11}
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
every_dtype = pytest.mark.parametrize("dtype", RTOL)


def some_targets(rng, n_rows, n_classes):
    """RowTargets, and their masses as a dense array: the first row has one, the second none, the last all but two."""
    counts = rng.integers(0, min(5, n_classes) + 1, n_rows)
    counts[0] = 1
    if n_rows > 1:
        counts[1], counts[-1] = 0, max(1, n_classes - 2)
    class_ids = np.concatenate([rng.permutation(n_classes)[:n] for n in counts])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    targets = RowTargets(indptr, class_ids, rng.uniform(0.2, 1.5, len(class_ids)))
    dense = sp.csr_array((targets.mass, class_ids, indptr), shape=(n_rows, n_classes)).toarray()
    return targets, dense


@pytest.fixture
def problem():
    """Makes X (CSR), W (a third of the pairs of features and classes), bias and targets."""

    def make(n_rows, n_classes, n_features, dtype, seed=0):
        rng = np.random.default_rng(seed)
        X = sp.random_array((n_rows, n_features), density=0.4, rng=rng).tocsr().astype(dtype)
        W = sp.random_array((n_classes, n_features), density=0.3, rng=rng).tocsc().astype(dtype)
        W.data[:] = rng.standard_normal(W.nnz)
        W.sort_indices()
        bias = rng.standard_normal(n_classes).astype(dtype)
        targets, masses = some_targets(rng, n_rows, n_classes)
        return SimpleNamespace(X=X, W=W, bias=bias, targets=targets, masses=masses, rng=rng)

    return make


def hidden_of(p):
    return np.ascontiguousarray(p.X.toarray())


def close(ours, expected, dtype):
    assert_allclose(ours, expected, rtol=RTOL[dtype], atol=RTOL[dtype] * max(1.0, np.abs(expected).max(initial=0.0)))


@every_loss
def test_the_reference(loss, problem):
    """Its gradients are those of its losses."""
    p = problem(6, 9, 4, np.float64)
    Z, step = reference.linear_logits(p.X, p.W.toarray(), p.bias), 1e-6
    weight = p.rng.uniform(0.5, 2, 9)
    _, dZ = reference.row_losses(loss.name, Z, p.masses, weight)
    for k in range(9):
        ahead, behind = Z.copy(), Z.copy()
        ahead[:, k] += step
        behind[:, k] -= step
        ahead, behind = (reference.row_losses(loss.name, z, p.masses, weight)[0] for z in (ahead, behind))
        assert_allclose((ahead - behind) / (2 * step), dZ[:, k], rtol=1e-6, atol=1e-6)


@covering({"isa": ISAS, "shape": [(1, 1, 2), (1, 5, 3), (7, 30, 12), (33, 1205, 9)], "dtype": RTOL, "loss": LOSSES})
def test_pairs(isa, loss, dtype, shape, problem):
    n_rows, n_classes, n_features = shape
    p = problem(*shape, dtype)
    Z = reference.linear_logits(p.X, p.W.toarray(), p.bias)
    losses, dZ = reference.row_losses(loss.name, Z, p.masses)
    scale = p.rng.uniform(0.1, 2, n_rows)
    dW = (scale[:, None] * dZ).T @ p.X.toarray().astype(np.float64)
    rows, columns = p.W.indices, np.repeat(np.arange(n_features), np.diff(p.W.indptr))
    results = []
    for n_threads in (1, 2, 3):
        batch = RowReader(n_features).take(p.X.indptr, p.X.indices, p.X.data, np.arange(n_rows))
        weights = pairs.PairWeights(n_classes, p.W.indptr, p.W.indices.astype(np.int32), p.W.data)
        forward = pairs.PairsForward(batch, weights, Base(p.bias, loss=loss), p.targets, n_threads=n_threads)
        close(forward.nll, losses, dtype)
        bound = 1 / clipping.row_factors(1e-9, forward, np.ones(n_rows)) * 1e-9
        assert (np.linalg.norm(dZ, axis=1) <= bound * (1 + 1e-4) + 1e-4).all()
        out = np.zeros(p.W.nnz, dtype)
        forward.backward(scale, out)
        close(out, dW[rows, columns], dtype)
        results.append((forward.nll, out))
    for other in results[1:]:
        assert_array_equal(results[0][0], other[0])
        assert_array_equal(results[0][1], other[1])


@covering(
    {
        "isa": ISAS,
        "shape": [(1, 1, 2), (1, 5, 3), (7, 30, 12), (33, 1205, 9)],
        "memory": [0, 1 << 28],
        "dtype": RTOL,
        "loss": LOSSES,
    }
)
def test_tiles(isa, loss, dtype, memory, shape, problem):
    p = problem(*shape, dtype)
    hidden, V = hidden_of(p), p.W.toarray()
    weight = p.rng.uniform(0.5, 2, shape[1]) if loss.binary >= 0 else None
    losses, dZ = reference.row_losses(loss.name, reference.linear_logits(hidden, V, p.bias), p.masses, weight)
    scale = p.rng.uniform(0.1, 2, shape[0])
    dZ = scale[:, None] * dZ
    results = []
    for n_threads in (1, 2, 3):
        terms = tiles.Terms(shape[0], shape[1], hidden=hidden, V=V, bias=p.bias)
        forward = tiles.Forward(terms, p.targets, loss=loss, weight=weight, memory=memory, n_threads=n_threads)
        close(forward.nll, losses, dtype)
        bound = 1 / clipping.row_factors(1e-9, forward, np.ones(shape[0])) * 1e-9
        assert (np.linalg.norm(dZ / scale[:, None], axis=1) <= bound * (1 + 1e-4) + 1e-4).all()
        dV, dbias, dhidden = np.zeros_like(V), np.zeros_like(p.bias), np.empty_like(hidden)
        forward.backward(scale, tiles.Destination(V=dV, bias=dbias), dhidden=dhidden)
        close(dV, dZ.T @ hidden.astype(np.float64), dtype)
        close(dbias, dZ.sum(axis=0), dtype)
        close(dhidden, dZ @ V.astype(np.float64), dtype)
        results.append((forward.nll, dV, dbias, dhidden))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_array_equal(a, b)


@every_dtype
@pytest.mark.parametrize("threshold", [0.0, 1e-12])
def test_a_step_with_a_penalty_on_the_targets(isa, dtype, threshold, problem):
    """Whether small probabilities are rounded or not: here so few are left that products go by entries."""
    n_rows, n_classes = 40, 3000
    p = problem(n_rows, n_classes, 8, dtype)
    hidden, V, alpha = hidden_of(p), (30 * p.rng.standard_normal((n_classes, 8))).astype(dtype), 0.3
    _, dZ = reference.row_losses("softmax", reference.linear_logits(hidden, V, p.bias), p.masses)
    scale = p.rng.uniform(0.1, 2, n_rows)
    scale[-1] = 0
    gradient = (scale[:, None] * dZ).T @ hidden + alpha * (scale @ p.masses)[:, None] * V
    expected = V - 0.01 * gradient
    ours = V.copy()
    terms = tiles.Terms(n_rows, n_classes, hidden=hidden, V=ours, bias=p.bias)
    forward = tiles.Forward(terms, p.targets, memory=1 << 28)
    rounding = tiles.Rounding(threshold, tiles.draw_row_keys(p.rng, n_rows)) if threshold else None
    rule = SGD().rule(0.01)
    forward.backward(scale, tiles.Destination(V=ours, rule=rule, class_alpha=alpha), rounding=rounding)
    assert_allclose(ours, expected, rtol=20 * RTOL[dtype], atol=20 * RTOL[dtype])


@every_loss
def test_what_no_row_has(loss, problem):
    """Without targets, the loss is that of the negatives, 0 for a softmax."""
    p = problem(5, 20, 6, np.float64)
    hidden, V = hidden_of(p), p.W.toarray()
    targets = RowTargets(np.zeros(6, np.intp), np.zeros(0, np.int32))
    forward = tiles.Forward(tiles.Terms(5, 20, hidden=hidden, V=V, bias=p.bias), targets, loss=loss)
    Z = reference.linear_logits(hidden, V, p.bias)
    assert_allclose(forward.nll, reference.row_losses(loss.name, Z, np.zeros((5, 20)))[0], atol=1e-12)


def test_one_target_a_row_is_the_softmax(problem):
    """The decoupled softmax is then the same."""
    p = problem(9, 20, 6, np.float64)
    target = p.rng.integers(0, 20, 9)
    terms = tiles.Terms(9, 20, hidden=hidden_of(p), V=p.W.toarray(), bias=p.bias)
    results = [tiles.Forward(terms, target, loss=loss) for loss in LOSSES[:2]]
    assert_allclose(results[0].nll, results[1].nll, rtol=1e-13)
    gradients = [forward.logit_gradient(np.ones(9)) for forward in results]
    assert_allclose(gradients[0].target, gradients[1].target, rtol=1e-13)
    negatives = [g.scale * np.exp(f.rest - g.lse) for f, g in zip(results, gradients, strict=True)]
    assert_allclose(*negatives, rtol=1e-13)
