"""The mean of the weights over the last part of training."""

import numpy as np
import pytest
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.runtime.allocation import InFiles
from fastsoftmax.training import planning
from fastsoftmax.training.options import Options
from fastsoftmax.training.training import Training
from fastsoftmax.training.watchers.averaging import N_TAKEN, add_to_mean, marks
from fastsoftmax.training.watchers.base import Watcher

COMMON = {"batch_size": 16, "max_iter": 4, "random_state": 0, "dtype": "float64"}


def rows(n_rows=70, n_classes=6):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_rows, 5)), np.arange(n_rows) % n_classes


class Recorder(Watcher):
    def __init__(self, model):
        self.model, self.models = model, []

    def after_step(self, trainer, n_rows, loss):
        self.models.append(self.model.copy())


def recorded(**params):
    """A trained classifier, and its model after each step."""
    classifier, recorders = flat_classifier(**COMMON | params), []
    watchers = Training.watchers

    def more(*args):
        recorders.append(Recorder(classifier._model))
        return [*watchers(*args), recorders[0]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "watchers", more)
        return classifier.fit(*rows()), recorders[0].models


@pytest.mark.parametrize("terms", [{"direct": "dense"}, {"direct": "sparse"}, {"direct": None, "hidden_size": 3}])
@pytest.mark.parametrize(("average", "n_steps"), [(True, 10), (0.3, 6), (0.01, 1)])
def test_ends_with_the_mean_of_the_last_steps(average, n_steps, terms):
    classifier, models = recorded(average=average, calibration_fraction=0, **terms)
    assert len(models) == 20
    for name, a in classifier._model.parameters().items():
        mean = np.mean([m.parameters()[name] for m in models[-n_steps:]], axis=0)
        assert_allclose(a, mean, rtol=1e-12, atol=1e-15)
    for name, a in classifier._model.state.items():
        assert_array_equal(a, models[-1].state[name])


@pytest.mark.parametrize("n_steps", [1, 2, 15, 16, 17, 100, 12345])
@pytest.mark.parametrize("share", [1e-6, 0.3, 0.5, 1])
def test_marks(n_steps, share):
    at = list(marks(n_steps, share))
    assert at[-1] == n_steps and at[0] >= 1 and at[0] > n_steps - max(1, share * n_steps) - 1
    assert len(at) == min(N_TAKEN, max(1, round(share * n_steps)))
    assert len(set(np.diff(at))) <= 1


def test_mean_of_arrays_in_any_order():
    rng = np.random.default_rng(0)
    arrays = [np.asfortranarray(rng.standard_normal((300, 401)).astype(np.float32)) for _ in range(3)]  # several chunks
    mean = arrays[0].copy(order="F")
    add_to_mean(mean, arrays[1], 2)
    add_to_mean(mean, arrays[2], 3)
    assert_allclose(mean, np.mean(arrays, axis=0), atol=1e-6)


def test_early_stopping_judges_the_mean():
    """The best model is an averaged one: its loss on the held-out rows is the least on the curve."""
    X, y = rows(200)
    held_out = rows(220)[0][200:], np.arange(200, 220) % 6
    params = {"average": 0.9, "early_stopping": True, "n_iter_no_change": 10, "schedule": "constant"}
    classifier = flat_classifier(**COMMON | params | {"max_iter": 8}).fit(X, y, X_val=held_out[0], y_val=held_out[1])
    loss = -classifier.target_log_proba(*held_out).mean()
    assert_allclose(loss, min(classifier.validation_curve_))
    plain = flat_classifier(**COMMON | params | {"max_iter": 8, "average": False})
    plain.fit(X, y, X_val=held_out[0], y_val=held_out[1])
    assert plain.validation_curve_[-1] != classifier.validation_curve_[-1]


def test_zeros_stay():
    classifier, models = recorded(average=True, l1_alpha=0.05, direct="dense")
    assert 0 < np.count_nonzero(models[-1].W == 0) < models[-1].W.size
    assert_array_equal(classifier.coef_[models[-1].W == 0], 0)


def test_zeros_stay_in_the_mean_that_is_judged():
    params = {"average": 1.0, "l1_alpha": 0.05, "direct": "dense", "early_stopping": True, "n_iter_no_change": 99}
    classifier, models = recorded(**params)
    best = int(np.argmin(classifier.validation_curve_))
    at_end = models[(best + 1) * len(models) // classifier.n_iter_ - 1].W
    assert_array_equal(classifier.coef_[at_end == 0], 0)
    assert (at_end == 0).any()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_mean_lies_in_files(monkeypatch, tmp_path, early_stopping):
    monkeypatch.setattr("fastsoftmax.runtime.allocation.SMALLEST_FILE", 1)
    copies = []
    copy = InFiles.copy
    monkeypatch.setattr(InFiles, "copy", lambda self, a: copies.append(a.shape) or copy(self, a))
    X, y = rows()
    params = COMMON | {"direct": "dense", "average": True, "max_iter": 2, "early_stopping": early_stopping}
    classifier = flat_classifier(**params, weights_dir=tmp_path).fit(X, y)
    assert copies.count(classifier.coef_.shape) >= 1 + 2 * early_stopping
    assert_array_equal(classifier.coef_, flat_classifier(**params).fit(X, y).coef_)


def test_memory_is_forecast():
    options = Options.of(flat_classifier(direct="dense", hidden_size=None).get_params(deep=False))
    plan = planning.choose(options, 100, 10, 1000, n_entries=100, dense_input=False)
    without, with_mean = (planning.memory_needed(plan, options._replace(average=a), 10)[0] for a in (False, True))
    assert with_mean - without == 4 * 10 * 1001


@pytest.mark.parametrize("average", [0.0, -1, 2.0, "yes"])
def test_errors(average):
    with pytest.raises((ValueError, TypeError), match="average must be"):
        flat_classifier(average=average).fit(*rows())
