"""One estimator in several Python threads: reading is always safe, and changes run one at a time."""

import copy
import pickle
import sys
import threading
import time

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression
from fastsoftmax.metrics import evaluate
from fastsoftmax.training import calibration

TERMS = {
    "dense": {"direct": "dense", "hidden_size": None},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "low rank": {"direct": None, "hidden_size": 4},
    "both": {"direct": "sparse", "hidden_size": 4},
}
SECONDS = 1.0


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((60, 30), density=0.2, format="csr", dtype=np.float32, rng=rng)
    return X, rng.integers(0, 10, 60)


@pytest.fixture(autouse=True)
def threads_take_turns_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


class Readers:
    """Threads that call `read` again and again while the block of this context runs."""

    def __init__(self, read, n_threads=2):
        self.read, self.errors, self.n_reads, self.stop = read, [], 0, threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(n_threads)]

    def _run(self):
        while not self.stop.is_set():
            try:
                self.read()
                self.n_reads += 1
            except Exception as error:  # to be raised in the thread of the test
                self.errors.append(error)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        assert self.n_reads


def reader(model, X, y):
    """A function that calls everything that reads the model."""

    def read():
        labels, log_proba = model.predict_topk(X, 3)
        assert labels.shape == (len(y), 3) and np.isfinite(log_proba).all()
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-4)
        for method in (model.predict, model.decision_function, model.predict_log_proba):
            assert len(method(X)) == len(y)
        assert np.isfinite(model.target_log_proba(X, y)).all()
        assert 0 <= model.score(X, y) <= 1
        evaluate(copy.copy(model), X, y)
        assert len(pickle.loads(pickle.dumps(model)).predict(X)) == len(y)
        assert len(copy.deepcopy(model).compressed().predict(X)) == len(y)
        if hasattr(model, "transform"):
            assert model.transform(X).shape == (len(y), 4)

    return read


@pytest.mark.parametrize("terms", TERMS)
def test_a_model_is_read_while_it_learns_and_grows(rows, terms):
    X, y = rows
    model = SoftmaxClassifier(random_state=0, n_threads=1, **TERMS[terms])
    model.partial_fit(X, y, np.arange(10))
    label, end = 10, time.monotonic() + SECONDS
    with Readers(reader(model, X[:9], y[:9])):
        while time.monotonic() < end:
            model.add_classes([label, -label])
            model.partial_fit(X, (y + label) % (label + 1))
            if terms != "dense":
                model.calibrate(X, y)
            label += 1
    assert len(model.classes_) == 10 + 2 * (label - 10)


def test_a_model_is_read_while_it_is_fitted_and_pruned(rows):
    X, y = rows
    model = SoftmaxClassifier(random_state=0, n_threads=1, max_iter=2, direct="dense").fit(X, y)
    end = time.monotonic() + SECONDS
    with Readers(reader(model, X[:9], y[:9])):
        while time.monotonic() < end:
            model.prune(1e-3)
            model.fit(X, y)


def test_a_copy_leaves_what_a_running_fit_changes(rows):
    """scikit-learn keeps the tree of a fit's tasks, which grows while another thread copies."""
    model = SoftmaxClassifier(random_state=0, n_threads=1, max_iter=1).fit(*rows)
    model._callback_fit_ctx = object()
    for other in (copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert "_callback_fit_ctx" not in vars(other) and (other.predict(rows[0]) == model.predict(rows[0])).all()


def test_a_regression_is_read_while_it_is_fitted(rows):
    X, y = rows
    model, end = SoftmaxRegression(n_threads=1).fit(X, y), time.monotonic() + SECONDS
    with Readers(lambda: (model.predict(X), model.predict_proba(X), model.score(X, y))):
        while time.monotonic() < end:
            model.fit(X, y % 2 if len(model.classes_) == 10 else y)


def test_a_one_vs_all_classifier_is_read_while_it_is_fitted(rows):
    """Also while it has the shape of two classes, and another loss."""
    X, y = rows
    model, end = OneVsAllClassifier(n_threads=1).fit(X, y), time.monotonic() + SECONDS
    methods = (model.predict, model.predict_marginals, model.decision_function)
    with Readers(lambda: ([method(X) for method in methods], model.score(X, y), model.coef_, model.intercept_)):
        while time.monotonic() < end:
            model.fit(X, y % 2 if len(model.classes_) == 10 else y)


def test_a_prediction_keeps_the_classes_that_it_began_with(rows, monkeypatch):
    X, y = rows
    model = SoftmaxClassifier(random_state=0, direct="sparse").partial_fit(X, y, np.arange(0, 100, 10) // 10)
    expected = model.predict(X).tolist()
    find_runner = SoftmaxClassifier._runner_for

    def grow_meanwhile(self, X):
        runner = find_runner(self, X)
        model.add_classes([-1])  # all codes move by one
        return runner

    monkeypatch.setattr(SoftmaxClassifier, "_runner_for", grow_meanwhile)
    assert model.predict(X).tolist() == expected


@pytest.mark.parametrize("terms", [terms for terms in TERMS if terms != "dense"])
def test_calibration_replaces_all_terms_at_once(rows, monkeypatch, terms):
    X, y = sparse.vstack([rows[0]] * 2, format="csr"), np.tile(rows[1], 2)
    model = SoftmaxClassifier(random_state=0, max_iter=2, calibration_fraction=0.4, n_threads=1, **TERMS[terms])
    calibrate, n_calls = calibration.calibrate, []

    def watched(*args, **options):
        before = model.predict_proba(X)
        factors = calibrate(*args, **options)
        np.testing.assert_array_equal(model.predict_proba(X), before)  # as long as nothing is complete
        n_calls.append(model.calibration_)
        return factors

    monkeypatch.setattr(calibration, "calibrate", watched)
    model.fit(X, y)
    assert n_calls == [{}] and model.calibration_


@pytest.mark.parametrize("change", ["save", "partial_fit", "calibrate", "add_classes", "prune", "fit"])
def test_a_second_change_is_refused(rows, tmp_path, change):
    X, y = rows
    model = SoftmaxClassifier(random_state=0, direct="sparse", max_iter=2).fit(X, y)
    arguments = {"save": [tmp_path / "model"], "add_classes": [[99]], "prune": []}.get(change, [X, y])
    raised = []

    def schedule(progress):
        if not raised:
            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join()
        return 1.0

    def attempt():
        try:
            getattr(model, change)(*arguments)
        except RuntimeError as error:
            raised.append(str(error))

    model.set_params(schedule=schedule).fit(X, y)
    assert raised == [f"{change} cannot run while another thread is in fit of the same SoftmaxClassifier: wait for it"]
    assert not (tmp_path / "model").exists()
    model.set_params(schedule="auto")
    getattr(model, change)(*arguments)  # afterwards it can
