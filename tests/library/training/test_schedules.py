"""How the learning rate changes over training."""

import numpy as np
import pytest
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.training import schedules
from fastsoftmax.training.options import SPARSE_EPOCHS
from fastsoftmax.training.training import Training

PROGRESS = np.linspace(0, 1, 9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", 1 - PROGRESS),
        ("constant", np.ones(9)),
        ("cosine", np.cos(np.pi * PROGRESS / 2) ** 2),
        ("trapezoidal", np.minimum(1, (1 - PROGRESS) / 0.3)),
    ],
)
def test_factors(name, expected):
    assert_allclose([schedules.make(name)(t) for t in PROGRESS], expected, atol=1e-15)


def rows(n_rows=70, n_classes=6):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_rows, 5)), np.arange(n_rows) % n_classes


def small(**params):
    return flat_classifier(**{"batch_size": 16, "max_iter": 4, "random_state": 0, "optimizer": "sgd"} | params)


def steps_of(model, X, y):
    """The learning rate of each step."""
    make, rates = Training.trainer, []

    def watched(*args, **options):
        trainer = make(*args, **options)
        for learner in trainer.learners:
            name, step = learner.rate_name, learner.step
            learner.step = lambda *a, name=name, step=step: rates.append((name, a[-1])) or step(*a)
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "trainer", watched)
        model.fit(X, y)
    return rates


def test_a_function_gets_the_progress():
    X, y = rows()
    rates = [rate for _, rate in steps_of(small(schedule=lambda t: 1 + t), X, y)]
    assert_allclose(rates, 1 + np.arange(20) / 20)  # 4 epochs of 5 steps


def test_factors_reach_the_steps():
    X, y = rows()
    halved = small(schedule=lambda t: 0.5, learning_rate=0.2).fit(X, y)
    assert_array_equal(halved.coef_, small(schedule="constant", learning_rate=0.1).fit(X, y).coef_)
    coefs = [small(schedule=name).fit(X, y).coef_ for name in schedules.SCHEDULES]
    assert all((a != b).any() for i, a in enumerate(coefs) for b in coefs[:i])


def test_auto():
    X, y = rows()
    model = small(direct="sparse", hidden_size=4, schedule="auto", loss="softmax", max_iter=2)
    progress = np.arange(10) / 10
    for name, expected in (
        ("SparseTerm.learning_rate", 1 - progress),
        ("learning_rate", np.minimum(1, (1 - progress) / 0.3)),
    ):
        assert_allclose([rate for term, rate in steps_of(model, X, y) if term == name], expected)
    assert small().schedule == "auto"


def test_a_sparse_term_beside_a_low_rank_one_has_a_schedule_of_its_own_epochs():
    X, y = rows()
    model = small(direct="sparse", hidden_size=4, schedule="linear", loss="softmax", max_iter=6, optimizer="adagrad")
    rates = steps_of(model, X, y)
    direct = [rate for name, rate in rates if name == "SparseTerm.learning_rate"]
    assert_allclose(direct, 1 - np.arange(5 * SPARSE_EPOCHS) / (5 * SPARSE_EPOCHS))
    assert len(rates) - len(direct) == 30


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        ("steps", ValueError, "schedule must be"),
        (lambda t: -t, ValueError, r"schedule\(0.25\) must be at least 0"),
        (lambda t: None, TypeError, r"schedule\(0.0\) must be a real number"),
    ],
)
def test_errors(schedule, error, message):
    with pytest.raises(error, match=message):
        small(schedule=schedule).fit(*rows())
