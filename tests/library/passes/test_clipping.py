"""Bounds on the gradients of single rows. The twin of whole steps is in test_step.py."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from flat_options import flat_classifier, of_mean
from numpy.testing import assert_allclose

from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.pairs_runner import PairsRunner
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD
from fastsoftmax.passes.candidates import KINDS
from fastsoftmax.samplers import LogUniform
from fastsoftmax.training.normaliser import RunningNormaliser
from fastsoftmax.training.step_losses import FullLoss, SampledLoss

N_CLASSES, N_FEATURES = 40, 12

pytestmark = pytest.mark.filterwarnings("ignore:the loss of the last epoch")  # outliers make losses large


def make_model(pairs=None, spread=3.0):
    rng = np.random.default_rng(0)
    arrays = {
        "W": (N_CLASSES, N_FEATURES) if pairs is None else (len(pairs.class_ids),),
        "E": (N_FEATURES, 5),
        "V": (N_CLASSES, 5),
        "bias": (N_CLASSES,),
    }
    return Model(**{name: spread * rng.standard_normal(shape) for name, shape in arrays.items()}, pairs=pairs)


def make_X(n_rows=8, scale=20.0):
    return sp.csr_array(scale * sp.random_array((n_rows, N_FEATURES), density=0.5, rng=np.random.default_rng(1)))


def gradient_norms(model, step):
    """Norms of the changes that SGD with a learning rate of 1 makes to the output weights and to the embedding."""
    before = model.copy()
    step()
    changes = {name: np.sum((a - before.parameters()[name]) ** 2) for name, a in model.parameters().items()}
    return np.sqrt(sum(changes[name] for name in ("W", "V", "bias") if name in changes)), np.sqrt(changes.get("E", 0))


@pytest.mark.parametrize("clip_norm", [1e-3, 0.5])
@pytest.mark.parametrize("loss_name", ["softmax", *KINDS])
def test_no_row_has_a_longer_gradient(loss_name, clip_norm):
    X, any_clipped = make_X(), False
    for i in range(X.shape[0]):
        for rule in (SGD().rule(1.0), SGD(clip_norm=clip_norm).rule(1.0)):
            model, rows, target = make_model(), np.array([i]), np.array([i])
            sampled = SampledLoss(LogUniform(N_CLASSES), 30, loss_name)
            loss = FullLoss() if loss_name == "softmax" else sampled
            arguments = rows, target, np.ones(1), rule, loss.estimate(target, np.random.default_rng(3))
            runner = Runner(model, X, n_threads=1)
            norms = gradient_norms(model, lambda r=runner, a=arguments: r.step(*a))
            if rule.clip_norm is None:
                any_clipped |= max(norms) > clip_norm
            else:
                assert max(norms) <= clip_norm * (1 + 1e-12)
    assert any_clipped


@pytest.mark.parametrize("target_bias", [0.0, 100.0])  # a target that is unlikely, and one that is certain
def test_with_a_running_normaliser_too(target_bias):
    """The gradient is then not that of a softmax: it may be much longer where the running estimate is far too low."""
    X, target, rule = make_X(), np.array([0]), SGD(clip_norm=0.5).rule(1.0)
    normaliser = RunningNormaliser(X.shape[0], 0.01)
    normaliser.log_z[:] = -50.0
    loss = SampledLoss(LogUniform(N_CLASSES), 30, "sampled_softmax", normaliser)
    estimate = loss.estimate(target, np.random.default_rng(3))
    model = make_model()
    model.bias[0] += target_bias
    runner = Runner(model, X, n_threads=1)
    norms = gradient_norms(model, lambda: runner.step(np.array([1]), target, np.ones(1), rule, estimate))
    assert max(norms) <= 0.5 * (1 + 1e-12)


def test_sparse_term_alone():
    W = sp.random_array((N_CLASSES, N_FEATURES), density=0.4, format="csc", rng=np.random.default_rng(2))
    X, rule, pairs = make_X(), SGD(clip_norm=0.5).rule(1.0), Pairs.of(W)
    for i in range(X.shape[0]):
        model = make_model(pairs)
        model = Model(W=model.W, bias=model.bias, pairs=pairs)
        runner, row = PairsRunner(model, X, n_threads=1), np.array([i])
        norms = gradient_norms(model, lambda r=runner, row=row: r.step(row, row, np.ones(1), rule))
        assert max(norms) <= 0.5 + 1e-12


def test_a_bound_that_is_never_reached_changes_nothing():
    X, target = make_X(), np.arange(8)
    models = []
    for clip_norm in (None, 1e9):
        models.append(make_model())
        Runner(models[-1], X, n_threads=1).step(np.arange(8), target, of_mean(8), SGD(clip_norm=clip_norm).rule(0.1))
    for name, a in models[0].parameters().items():
        assert_allclose(models[1].parameters()[name], a, rtol=1e-14)


def test_the_reference_bounds_the_norm_of_dlogits():
    logits = 5 * np.random.default_rng(0).standard_normal((100, 7))
    target = np.arange(100) % 7
    losses, dlogits = reference.cross_entropy(logits, target, reduction="none")
    norms, bound = np.linalg.norm(dlogits, axis=1), np.sqrt(2) * (1 - np.exp(-losses))
    assert (norms <= bound * (1 + 1e-12)).all() and (norms >= bound / np.sqrt(2) * (1 - 1e-12)).all()


@pytest.mark.parametrize("terms", [{"direct": "dense"}, {"direct": None, "hidden_size": 8}])
def test_outliers_do_no_harm(terms):
    rng = np.random.default_rng(0)
    y = np.arange(600) % 10
    X = np.eye(10)[y] + 0.1 * rng.standard_normal((600, 10))
    X[::50] *= 1e4
    y_train = y.copy()
    y_train[::50] = (y[::50] + 1) % 10  # and wrong
    params = {"loss": "softmax", "optimizer": "sgd", "learning_rate": 2.0, "batch_size": 16, "random_state": 0, **terms}
    params |= {"max_iter": 20, "calibration_fraction": 0}
    clipped = flat_classifier(**params, clip_norm=1.0).fit(X, y_train)
    ordinary = np.arange(600) % 50 != 0
    assert clipped.score(X[ordinary], y[ordinary]) > 0.95
    try:
        score = flat_classifier(**params).fit(X, y_train).score(X[ordinary], y[ordinary])
    except FloatingPointError:  # diverged
        score = 0.0
    assert score < 0.9


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, np.nan, "auto"])
def test_errors(clip_norm):
    with pytest.raises((ValueError, TypeError), match="clip_norm must be"):
        flat_classifier(clip_norm=clip_norm).fit(np.eye(3), [0, 1, 2])
