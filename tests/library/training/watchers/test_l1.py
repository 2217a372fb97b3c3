"""An L1 penalty on direct weights."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.training.watchers import l1

COMMON = {"batch_size": 32, "max_iter": 6, "random_state": 0, "n_negatives": 10}


def toy(n_rows=640, n_classes=20, seed=0):
    """Each class has a feature of its own, beside noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % n_classes
    noise = sp.random_array((n_rows, 60), density=0.1, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(n_classes, format="csr")[y], noise])), y


@pytest.mark.parametrize("rule", [SGD().rule(0.3), Adagrad(epsilon=1e-3).rule(0.3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-6)])
@pytest.mark.parametrize("order", "CF")
def test_shrink_against_the_twin(rule, dtype, tolerance, order):
    rng = np.random.default_rng(0)
    w = np.asarray(rng.standard_normal((190, 200)).astype(dtype), order=order)  # more than a chunk
    state = np.asarray(rng.standard_normal(w.shape).astype(dtype) ** 2, order=order)
    expected = reference.shrink(rule, w.astype(np.float64), 0.05, state.astype(np.float64))
    l1.shrink(w, 0.05, state if rule.has_state else None, rule)
    assert_allclose(w, expected, atol=tolerance)
    assert 0 < np.count_nonzero(w == 0) < w.size


class Record:
    """Stands for what L1 is told of."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_shrinkage_is_added_up(is_sparse):
    """It is done every so many steps and at the end of an epoch, with the sum of the rates, until the term has learned."""
    model = Model(W=np.full(6, 100.0), pairs=Pairs(None, None) if is_sparse else None)
    rule = SGD().rule(1.0)
    learner = Record(rule=rule, runner=Record(model=model), rate=lambda epochs: 1.0 if epochs < 2 else None)
    learner.has_direct, learner.sums = True, is_sparse
    trainer = Record(learners=[learner], steps_done=0, steps_per_epoch=40, position=0, order=np.arange(400))
    penalty, expected, pending = l1.L1(0.01), 100.0, 0.0
    for step in range(1, 121):
        learner.step_rule, trainer.steps_done = rule._replace(learning_rate=1 / step), step
        trainer.position = 400 if step % 40 == 0 else step % 40 * 10
        penalty.after_step(trainer, 10, 0.0)
        if step <= 80:
            pending += 0.01 / step * (10 if is_sparse else 1)
        if step % l1.EVERY == 0 or step % 40 == 0:
            expected, pending = expected - pending, 0.0
        assert_allclose(model.W, expected, rtol=1e-12)
    assert penalty.pending == 0


def test_it_ends_at_the_optimum_of_the_penalised_loss():
    """Where a weight is zero, the gradient of the loss is at most l1_alpha; elsewhere it is that, against the weight."""
    X, y = toy(320, 5)
    l1_alpha = 0.01
    params = {"direct": "dense", "optimizer": "sgd", "learning_rate": 1.0, "schedule": "linear", "dtype": "float64"}
    model = flat_classifier(**COMMON | params | {"batch_size": 320, "max_iter": 3000}, l1_alpha=l1_alpha).fit(X, y)
    _, (_, dW, _) = reference.linear_cross_entropy(X, model.coef_, y, model.intercept_)
    zero = model.coef_ == 0
    assert 0.3 < zero.mean() < 0.99
    assert np.abs(dW[zero]).max() <= 1.01 * l1_alpha
    assert_allclose(dW[~zero], -l1_alpha * np.sign(model.coef_[~zero]), rtol=0.05)


@pytest.mark.parametrize(
    ("terms", "penalties"),
    [
        ({"direct": "dense", "loss": "softmax"}, (0.0, 3e-3, 3e-2)),
        ({"direct": "dense", "loss": "sampled_softmax"}, (0.0, 3e-3, 3e-2)),
        ({"direct": "sparse"}, (0.0, 1e-4, 3e-4)),
    ],
)
def test_more_penalty_fewer_weights(terms, penalties):
    X, y = toy()
    n = [np.count_nonzero(flat_classifier(**COMMON, **terms, l1_alpha=a).fit(X, y)._model.W) for a in penalties]
    assert n[0] > 1.1 * n[1] > 1.2 * n[2] > 0


def test_same_for_any_n_threads():
    X, y = toy()
    models = [flat_classifier(**COMMON, direct="dense", l1_alpha=1e-3, n_threads=n).fit(X, y) for n in (1, 3)]
    assert_array_equal(models[0].coef_, models[1].coef_)


def test_bad_penalties():
    X, y = np.eye(4), [0, 1, 2, 3]
    for params in ({"direct": None}, {"direct": "auto", "hidden_size": 2}):
        with pytest.raises(ValueError, match=r"l1_alpha must be 0 with direct=None, got 0.1"):
            flat_classifier(l1_alpha=0.1, **params).fit(X, y)
    with pytest.raises(ValueError, match="l1_alpha must be at least 0"):
        flat_classifier(**COMMON, direct="dense", l1_alpha=-1.0).fit(*toy())
    with pytest.raises(ValueError, match="l1_alpha must be 0 with direct=None"):
        flat_classifier(**COMMON, direct=None, l1_alpha=1.0).fit(*toy())
