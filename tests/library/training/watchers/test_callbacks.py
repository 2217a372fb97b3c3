"""scikit-learn's callbacks on SoftmaxClassifier: what they are told, and that they can stop it."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_array_equal
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from fastsoftmax.model.model import Model

KINDS = {
    "dense": {},
    "sparse": {"direct": "sparse", "calibration_fraction": 0.2},
    "both terms": {"direct": "sparse", "hidden_size": 4, "calibration_fraction": 0.2},
    "sampled": {"hidden_size": 4, "loss": "sampled_softmax"},
    "early stopping": {
        "hidden_size": 4,
        "early_stopping": True,
        "learning_rate": 5.0,
        "schedule": "linear",
        "n_iter_no_change": 9,
        "max_iter": 8,
    },
}


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return sp.csr_array(X[:400] / 16), y[:400]


def small(**params):
    return flat_classifier(**{"random_state": 0, "n_threads": 1, "max_iter": 4, "batch_size": 64} | params)


class Recorder:
    """Writes down what it is told, and stops training after an epoch of this number."""

    def __init__(self, stop_after=None):
        self.stop_after, self.told = stop_after, []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context):
        self.told.append(f"end {context.task_name} {context.task_id}")
        return context.task_name == "epoch" and context.task_id == self.stop_after


class Keeper(Recorder):
    """Keeps what it is given at the beginning and at the end of each task."""

    def __init__(self, stop_after=None):
        super().__init__(stop_after)
        self.kept = {}

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata, fitted_estimator):
        super().on_fit_task_begin(estimator, context)
        self.kept[self.told[-1]] = X, y, metadata, fitted_estimator

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        stop = super().on_fit_task_end(estimator, context)
        self.kept[self.told[-1]] = X, y, metadata, fitted_estimator
        return stop


def test_tasks_are_the_fit_and_its_epochs(data):
    recorder = Recorder()
    small(max_iter=2).set_callbacks(recorder).fit(*data)
    epochs = ["begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1"]
    assert recorder.told == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]


def test_one_callback_stops_training_whatever_the_others_say(data):
    recorder = Recorder()
    classifier = small(max_iter=9).set_callbacks(Recorder(stop_after=1), recorder).fit(*data)
    assert classifier.n_iter_ == 2
    assert recorder.told[-3:] == ["end epoch 1", "end fit 0", "teardown"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # a rate at which early stopping stops
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_fitted_estimator_is_as_if_fit_had_stopped_there(data, params):
    keeper = Keeper()
    classifier = small(**params).set_callbacks(keeper).fit(*data)
    assert_array_equal(classifier.predict_proba(data[0]), small(**params).fit(*data).predict_proba(data[0]))
    assert bool(classifier.calibration_) == ("calibration_fraction" in params)
    if classifier.early_stopping:
        rises = np.diff(classifier.validation_curve_[:-1]) > 0
        assert rises.any(), "training has to go on after an epoch that is not the best"
    for epoch in range(classifier.max_iter):
        fitted = keeper.kept[f"end epoch {epoch}"][-1]
        stopped = small(**params).set_callbacks(Recorder(stop_after=epoch)).fit(*data)
        assert_array_equal(fitted.predict_proba(data[0]), stopped.predict_proba(data[0]))
        assert epoch == classifier.max_iter - 1 or np.array_equal(
            keeper.kept[f"begin epoch {epoch + 1}"][-1].predict_proba(data[0]), fitted.predict_proba(data[0])
        )
        assert fitted.n_iter_ == epoch + 1 and fitted.calibration_ == stopped.calibration_
        assert fitted.validation_curve_ == stopped.validation_curve_
    assert_array_equal(keeper.kept["end fit 0"][-1].predict_proba(data[0]), classifier.predict_proba(data[0]))
    assert keeper.kept["begin fit 0"][-1] is None and keeper.kept["begin epoch 0"][-1].n_iter_ == 0


def test_fitted_estimator_has_marginal_probabilities(data):
    X, y = data
    keeper, labels = Keeper(), [[int(k), 10 + int(k) // 2] for k in y]
    params = {"objective": "recall", "direct": "sparse", "hidden_size": 4, "calibration_fraction": 0.2}
    classifier = small(**params).set_callbacks(keeper).fit(X, labels)
    assert_array_equal(keeper.kept["end epoch 3"][-1].predict_marginals(X), classifier.predict_marginals(X))
    assert keeper.kept["end epoch 0"][-1].marginals_ not in ({}, classifier.marginals_)


def test_fitted_estimator_shares_nothing_that_training_changes(data):
    keeper = Keeper()
    classifier = small(loss="sampled_softmax", sampler="uniform", n_negatives=3).set_callbacks(keeper).fit(*data)
    fitted = keeper.kept["end epoch 1"][-1]
    before = classifier.predict_proba(data[0]), classifier.n_iter_
    fitted.partial_fit(*data)
    assert_array_equal(classifier.predict_proba(data[0]), before[0])
    assert classifier.n_iter_ == before[1] and fitted.n_iter_ == 3


def test_rows_come_as_they_were_given(data):
    keeper, weight = Keeper(), np.arange(1.0, 401)
    y = [f"digit {k}" for k in data[1]]
    small(max_iter=1).set_callbacks(keeper).fit(data[0], y, sample_weight=weight)
    assert len(keeper.kept) == 4
    for X_given, y_given, metadata, _ in keeper.kept.values():
        assert X_given is data[0] and y_given is y
        assert list(metadata) == ["sample_weight"] and metadata["sample_weight"] is weight
    small(max_iter=1).set_callbacks(keeper).fit(*data)
    assert keeper.kept["end fit 0"][2] is None


def test_models_are_copied_only_for_callbacks_that_look_at_them(data, monkeypatch):
    monkeypatch.setattr(Model, "copy", lambda self: pytest.fail("copied"))
    small(direct="sparse", hidden_size=4, max_iter=1).set_callbacks(Recorder()).fit(*data)


@pytest.mark.parametrize("params", [{"loss": "hinge"}, {"learning_rate": 1e38}], ids=["before", "while training"])
def test_what_was_set_up_is_torn_down(data, params):
    recorder = Recorder()
    with pytest.raises((ValueError, FloatingPointError)):
        small(**params).set_callbacks(recorder).fit(100 * data[0], data[1])
    assert recorder.told.count("setup") == recorder.told.count("teardown")
    assert "end fit 0" not in recorder.told


def test_no_epochs_where_nothing_learns(data):
    recorder = Recorder()
    start = sp.csc_array(np.ones((10, 64)))
    small(direct="sparse", direct_learning_rate=0).set_callbacks(recorder).fit(*data, coef_init=start)
    assert recorder.told == ["setup", "begin fit 0", "end fit 0", "teardown"]


def test_partial_fit_calls_none(data):
    recorder = Recorder()
    small().set_callbacks(recorder).partial_fit(*data, classes=np.arange(10))
    assert recorder.told == []


# -- scikit-learn's own --


def test_scoring_monitor(data):
    monitor, weight = ScoringMonitor(scoring=["accuracy", "neg_log_loss"]), np.linspace(0, 1, 400)
    classifier = small(direct="sparse", hidden_size=4).set_callbacks(monitor).fit(*data, sample_weight=weight)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == ["fit"] + ["epoch"] * 4
    assert log[0]["accuracy"] == log[-1]["accuracy"] == classifier.score(*data, sample_weight=weight)
    assert log[0]["neg_log_loss"] == log[-1]["neg_log_loss"] > log[1]["neg_log_loss"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_pipeline_of_a_search(data, n_jobs):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    pipeline = make_pipeline(MaxAbsScaler(), small(max_iter=2).set_callbacks(monitor))
    grid = {"softmaxclassifier__learning_rate": [0.1, 0.3]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(*data)
    log = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in log) == 2 * (4 + 1)
    assert search.best_params_ == {"softmaxclassifier__learning_rate": 0.3}


def test_progress_bar(data, capsys):
    pytest.importorskip("rich")
    small(max_iter=9).set_callbacks(ProgressBar(), Recorder(stop_after=1)).fit(*data)
    assert "SoftmaxClassifier - fit" in capsys.readouterr().out
    pipeline = make_pipeline(MaxAbsScaler(), small(max_iter=2))
    GridSearchCV(pipeline, {"softmaxclassifier__batch_size": [50, 90]}, cv=2).set_callbacks(ProgressBar()).fit(*data)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out and out.count("Pipeline - fit") >= 5
