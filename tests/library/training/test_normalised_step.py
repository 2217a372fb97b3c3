"""Steps of a low-rank term that is normalised: against a float64 twin and numerical gradients, and the lengths they leave."""

import numpy as np
import pytest
import reference
from flat_options import of_mean
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.losses import LOSSES
from fastsoftmax.model import unit_rows
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.samplers import LogUniform
from fastsoftmax.training.step_losses import FullLoss, SampledLoss

N_FEATURES, SCALE = 40, 6.0
WEIGHT = np.linspace(0, 2, 30)  # the first row has none
RULES = {
    "sgd": SGD().rule(0.3),
    "sgd, clip_norm": SGD(clip_norm=0.05).rule(0.3),
    "adagrad": Adagrad().rule(0.3),
    "adagrad, both": Adagrad(alpha=0.05, class_alpha=0.7).rule(0.3),
}
LOSS_NAMES = ["softmax", "sampled_softmax", "nce"]


def make(n_classes, direct, rule, dtype=np.float64, order="C"):
    """A model in the midst of training."""
    rng = np.random.default_rng(1)
    common = {"optimizer": rule, "dense_input": False, "rng": rng, "dtype": dtype, "scale": SCALE}
    model = Model.initialise(n_classes, N_FEATURES, 11, direct, **common)
    for name, a in model.arrays().items():
        if name != "V":
            values = rng.standard_normal(a.shape) * 0.5
            a[...] = values**2 if name.startswith("state.") else values
    model.V = np.asarray(model.V, order=order)
    return model


def batch(sparse_X, dtype, n_classes):
    """Rows of which two have no entry."""
    X = sparse_X(30, N_FEATURES, dtype).tolil()
    X[[3, 12]] = 0
    X, target = X.tocsr(), np.random.default_rng(2).integers(0, n_classes, 30)
    X.eliminate_zeros()
    target[1:4] = target[0]  # several rows of a class
    return X, target


def loss_of(name, n_classes):
    return FullLoss() if name == "softmax" else SampledLoss(LogUniform(n_classes), 20, LOSSES[name]().trains_as)


def draws_for(loss, target, seed):
    if not isinstance(loss, SampledLoss):
        return {}
    drawn = loss.sampler.draw_for(loss.n_negatives, np.random.default_rng(seed), target)
    draws = dict(zip(("class_ids", "log_expected_counts", "target_log_expected_counts"), drawn, strict=True))
    if loss.name == "sampled_softmax":
        del draws["target_log_expected_counts"]
    return draws | {"loss": loss.name}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("loss_name", LOSS_NAMES)
@pytest.mark.parametrize("direct", [None, "dense"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 1e-4)])
def test_step_against_the_twin(sparse_X, direct, loss_name, rule, dtype, tolerance):
    model, loss = make(301, direct, rule, dtype), loss_of(loss_name, 301)
    X, target = batch(sparse_X, dtype, 301)
    runner = Runner(model, X, n_threads=2)
    for rows in (np.arange(20), np.array([25, 3, 29, 8])):
        y, weight = target[rows], WEIGHT[rows]
        twin = {"weight": weight, "norm": SCALE, **draws_for(loss, y, 3)}
        expected_loss, expected = reference.model_step(model.arrays(), X[rows], y, rule, **twin)
        estimate = loss.estimate(y, np.random.default_rng(3))
        value = runner.step(rows, y, of_mean(len(rows), weight), rule, estimate)
        assert_allclose(value, expected_loss, rtol=tolerance)
        for name, a in model.arrays().items():
            assert_allclose(a, expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("loss_name", LOSS_NAMES)
def test_the_embedding_steps_along_the_numerical_gradient(sparse_X, loss_name):
    rule, rows = SGD().rule(1.0), np.arange(30)
    X, target = batch(sparse_X, np.float64, 200)
    estimate = loss_of(loss_name, 200).estimate(target, np.random.default_rng(3))
    rng = np.random.default_rng(5)
    direction = rng.standard_normal((N_FEATURES, 11))

    def moved(h):
        model = make(200, None, rule)
        model.E += h * direction
        E = model.E.copy()
        return E, model, Runner(model, X, n_threads=2).step(rows, target, of_mean(30, WEIGHT), rule, estimate)

    before, after, _ = moved(0.0)
    numerical = (moved(1e-5)[2] - moved(-1e-5)[2]) / 2e-5
    assert np.vdot(before - after.E, direction) == pytest.approx(numerical, rel=1e-6)


def test_clipping_bounds_the_gradient_by_the_embedding(sparse_X):
    """It is that which went through the normalisation, whose direction stays."""
    X, target = batch(sparse_X, np.float64, 200)
    X.sum_duplicates()
    row = np.argmax(np.diff(X.indptr), keepdims=True)
    moves = {}
    for clip_norm in (None, 0.01):
        rule = SGD(clip_norm=clip_norm).rule(1.0)
        model = make(200, None, rule)
        model.E *= 0.05  # the shorter h is, the more of the gradient there is
        E = model.E.copy()
        Runner(model, X, n_threads=1).step(row, target[row], np.ones(1), rule)
        moves[clip_norm] = model.E - E
    assert np.linalg.norm(moves[None]) > 0.02
    assert np.linalg.norm(moves[0.01]) == pytest.approx(0.01, rel=1e-9)
    assert_allclose(moves[0.01] / 0.01, moves[None] / np.linalg.norm(moves[None]), atol=1e-12)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("loss_name", LOSS_NAMES)
def test_lengths_after_a_step(sparse_X, loss_name, order):
    """Those that a step changed have length 1, and a step of candidates leaves all others alone, to the bit."""
    rule, rows = RULES["adagrad"], np.arange(30)
    X, target = batch(sparse_X, np.float32, 901)
    model, loss = make(901, None, rule, np.float32, order), loss_of(loss_name, 901)
    before, estimate = model.V.copy(), loss.estimate(target, np.random.default_rng(3))
    Runner(model, X, n_threads=1).step(rows, target, of_mean(30), rule, estimate)
    assert_allclose(np.linalg.norm(model.V, axis=1), 1, atol=3e-7)
    changed = (before != model.V).any(axis=1)
    if loss_name != "softmax":
        drawn = draws_for(loss, target, 3)["class_ids"]
        assert changed.sum() <= len(np.union1d(drawn, target)) < 100
        assert_array_equal(model.V[~changed], before[~changed])
    assert changed.sum() >= len(np.unique(target))


@pytest.mark.parametrize("loss_name", LOSS_NAMES)
def test_same_bits_for_any_number_of_threads(sparse_X, loss_name):
    X, target = batch(sparse_X, np.float32, 5003)
    rule, loss, found = RULES["adagrad, both"], loss_of(loss_name, 5003), []
    for n_threads in (1, 2, 3):
        model, rng = make(5003, None, rule, np.float32), np.random.default_rng(3)
        runner = Runner(model, X, n_threads=n_threads)
        for rows in (np.arange(20), np.arange(10, 30)):
            runner.step(rows, target[rows], of_mean(20, WEIGHT[rows]), rule, loss.estimate(target[rows], rng))
        found.append(model.arrays())
    for arrays in found[1:]:
        for name, a in arrays.items():
            assert_array_equal(a, found[0][name], err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [0.0, 1e-40, 1e-35, 1e-25, 1e-3, 1.0, 1e25])
def test_rows_of_any_length(dtype, length):
    """Those that are zeros, or as good as that, stay: no division makes them anything else."""
    a = np.array([[3.0, 4.0], [1.0, 0.0]]) / [[5.0], [1.0]]
    rows = (a * length).astype(dtype)
    factors = unit_rows.scale_rows(rows, 9.0)
    assert rows.dtype == factors.dtype == dtype
    assert_allclose(rows, 9 * a if length > 1e-30 else 0 * a, rtol=1e-6, atol=0)


def test_all_rows_are_normalised_in_blocks(monkeypatch):
    monkeypatch.setattr(unit_rows, "BLOCK", 30)
    V = np.random.default_rng(0).standard_normal((101, 7))
    V[50] = 0
    expected = reference.unit(V)
    unit_rows.normalise(V)
    assert_allclose(V, expected, rtol=1e-14)
