"""A predictor answers as its model does, row by row or many at once, in one thread or several."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression
from fastsoftmax.passes import pairs

N_FEATURES = 40
MODELS = {
    "sparse": lambda: SoftmaxClassifier(direct="sparse", hidden_size=None),
    "low rank": lambda: SoftmaxClassifier(direct=None, hidden_size=5),
    "both": lambda: SoftmaxClassifier(direct="sparse", hidden_size=5),
    "low rank of some features": lambda: SoftmaxClassifier(direct="sparse", hidden_size=5),
    "dense": lambda: SoftmaxClassifier(direct="dense", hidden_size=None),
    "dense and low rank": lambda: SoftmaxClassifier(direct="dense", hidden_size=5),
    "regression": lambda: SoftmaxRegression(max_iter=20),
    "one-vs-all": lambda: OneVsAllClassifier(max_iter=20),
}


@pytest.fixture(params=[np.float32, np.float64])
def data(request):
    rng = np.random.default_rng(0)
    X = sp.random_array((150, N_FEATURES), density=0.2, format="csr", dtype=request.param, rng=rng)
    return X, np.array([f"label {i}" for i in rng.integers(0, 12, 150)])


def fitted(kind, X, y):
    model = MODELS[kind]()
    if "n_hidden_features" in model.get_params() and kind.endswith("some features"):
        model.set_params(n_hidden_features=20)
    options = {"max_iter": 3, "random_state": 0} if isinstance(model, SoftmaxClassifier) else {}
    return model.set_params(**options).fit(X, y)


def assert_same(found, expected, rtol=1e-5):
    assert_array_equal(found[0], expected[0])
    assert_allclose(found[1], expected[1], rtol=rtol, atol=rtol)


@pytest.fixture(params=[False, True], ids=["biases", "biases_beside_weights"])
def beside(request, monkeypatch):
    monkeypatch.setattr(pairs, "PAIRED_FROM", 0 if request.param else 1 << 62)


@covering(
    {"isa": ISAS, "beside": [False, True], "data": [np.float32, np.float64], "kind": MODELS},
    strength=2,
    fixtures=("isa", "beside", "data"),
)
def test_rows_one_by_one_and_all_at_once(isa, beside, data, kind):
    X, y = data
    model = fitted(kind, X, y)
    predictor = model.predictor()
    expected = model.predict_topk(X, 4)
    assert_same(predictor.predict_topk(X, 4), expected)
    assert_array_equal(predictor.predict(X), model.predict(X))
    assert_array_equal(predictor.classes_, model.classes_)
    assert predictor.n_features_in_ == N_FEATURES
    for rows in ([0], [5, 2], [7, 8, 9, 9]):
        for few in (X[rows], sp.csr_matrix(X[rows]), X[rows].toarray(), X[rows].tocsc(), X[rows].astype(np.float64)):
            assert_same(predictor.predict_topk(few, 4), [a[rows] for a in expected])
            assert_same(model.predict_topk(few, 4), [a[rows] for a in expected])


@covering(
    {
        "isa": ISAS,
        "data": [np.float32, np.float64],
        "kind": ["sparse", "low rank", "both", "dense", "regression"],
        "storage": ["int8", "bfloat16", "float16"],
    },
    strength=2,
    fixtures=("isa", "data"),
)
def test_compressed_models(isa, data, kind, storage):
    X, y = data
    model = fitted(kind, X, y).compressed(storage)
    expected = model.predict_topk(X, 3)
    for i in (0, 3):
        assert_same(model.predictor().predict_topk(X[[i]], 3), [a[[i]] for a in expected])


@pytest.mark.parametrize("kind", MODELS)
def test_options_of_single_rows(data, kind):
    X, y = data
    model = fitted(kind, X, y)
    threshold = 0.2
    for options in (
        {"classes": ["label 3", "label 7"]},
        {"exclude": [["label 1", "label 4"]] * len(y)},
        {"threshold": threshold},
        {"classes": ["label 3", "label 7", "label 9"], "exclude": [["label 9"]] * len(y), "threshold": threshold},
    ):
        expected = model.predict_topk(X, 12, **options)
        of_one = dict(options, exclude=options["exclude"][:1]) if "exclude" in options else options
        for i in range(6):
            assert_same(model.predictor().predict_topk(X[[i]], 12, **of_one), [a[[i]] for a in expected])


@pytest.mark.parametrize("kind", ["sparse", "low rank", "both"])
def test_bad_rows_are_the_same_errors_as_the_models(data, kind):
    X, y = data
    model = fitted(kind, X, y)

    def broken(**parts):
        row = X[[0]]
        for name, value in parts.items():
            setattr(row, name, value)
        return row

    n, one = X[[0]].nnz, X[[0]]
    bad = {
        "nan": broken(data=np.full(n, np.nan, X.dtype)),
        "out of range": broken(indices=np.full(n, N_FEATURES, np.int32)),
        "negative": broken(indices=np.full(n, -1, np.int32)),
        "decreasing": broken(indptr=np.array([n, 0], np.int32)),
        "too long": broken(indptr=np.array([0, n + 5], np.int32)),
        "not from 0": broken(indptr=np.array([1, n], np.int32)),
        "lists": broken(data=list(one.data)),
        "columns": sp.csr_array((1, N_FEATURES + 1), dtype=X.dtype),
    }
    for name, row in bad.items():
        with pytest.raises((ValueError, TypeError)) as error:
            model.predict_topk(row)
        with pytest.raises((ValueError, TypeError)) as mine:
            model.predictor().predict_topk(row)
        assert str(mine.value) == str(error.value), name
    with pytest.raises(ValueError, match="k must be"):
        model.predictor().predict_topk(one, 0)
    with pytest.raises(ValueError, match="n_threads"):
        model.predictor(n_threads=0)


def test_rows_without_entries_and_no_rows(data):
    X, y = data
    for kind in MODELS:
        model = fitted(kind, X, y)
        empty = sp.csr_array((9, N_FEATURES), dtype=X.dtype)
        expected = model.predict_topk(empty, 3)
        assert_same(model.predictor().predict_topk(empty[:2], 3), [a[:2] for a in expected])
        labels, log_proba = model.predictor().predict_topk(X[:0], 3)
        assert labels.shape == log_proba.shape == (0, 3)


def test_a_changed_bias_is_seen(data):
    """The model keeps what follows from its bias, and a user may write to that in place."""
    X, y = data
    model = fitted("sparse", X, y)
    model.predict_topk(X[[0]], 3)
    frozen, before = model.predictor(), model.predict_topk(X[[0]], 3)
    model.intercept_[...] += np.arange(12) * 2
    anew = pickle.loads(pickle.dumps(model))
    assert_same(model.predict_topk(X[[0]], 3), anew.predict_topk(X[[0]], 3))
    assert not np.array_equal(model.predict_topk(X[[0]], 3)[1], before[1])
    assert_same(frozen.predict_topk(X[[0]], 3), before)
    model.partial_fit(X, y)
    assert_same(model.predict_topk(X[[0]], 3), copy.deepcopy(model).predict_topk(X[[0]], 3))


@pytest.mark.parametrize("kind", ["sparse", "low rank", "both", "dense", "regression", "one-vs-all"])
def test_a_predictor_of_a_model_that_is_trained_further(data, kind):
    X, y = data
    model = fitted(kind, X, y)
    predictor, expected = model.predictor(), model.predict_topk(X, 3)
    if isinstance(model, SoftmaxClassifier):
        model.partial_fit(X, y)
        for ask in (predictor.predict, predictor.predict_topk):
            with pytest.raises(RuntimeError, match="was trained further: make a new predictor"):
                ask(X)
        predictor, expected = model.predictor(), model.predict_topk(X, 3)
    model.fit(X, y[::-1])
    assert_same(predictor.predict_topk(X, 3), expected)
    del model
    assert_same(predictor.predict_topk(X, 3), expected)


def test_whoever_trains_the_arrays_further_is_noticed(data):
    X, y = data
    for kind in ("sparse", "low rank", "both"):
        model = fitted(kind, X, y)
        predictor, other = model.predictor(), copy.copy(model)
        other.partial_fit(X, y)
        with pytest.raises(RuntimeError, match="was trained further"):
            predictor.predict(X)
        model = fitted(kind, X, y)
        predictor = model.predictor()
        model.partial_fit(X, y)
        model.fit(X, y)
        with pytest.raises(RuntimeError, match="was trained further"):
            predictor.predict(X)


def test_changes_that_leave_the_arrays_alone(data):
    X, y = data
    for kind in ("sparse", "low rank", "both"):
        model = fitted(kind, X, y)
        predictor, expected = model.predictor(), model.predict_topk(X, 3)
        model.calibrate(X, y)
        assert_same(predictor.predict_topk(X, 3), expected)
        model.add_classes(["another"])
        assert_same(predictor.predict_topk(X, 3), expected)


@pytest.mark.parametrize("kind", MODELS)
def test_copies_of_predictors(data, kind):
    X, y = data
    predictor = fitted(kind, X, y).predictor(1)
    expected = predictor.predict_topk(X, 3)
    for other in (pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor), copy.copy(predictor)):
        assert_same(other.predict_topk(X, 3), expected)


FORKS = """
import os, sys
import numpy as np, scipy.sparse as sp
from fastsoftmax import PreparedWeights, SoftmaxClassifier, linear_cross_entropy
from fastsoftmax.runtime import threads

threads.for_work = lambda n_threads, work: n_threads
rng = np.random.default_rng(0)
X = sp.random_array((50, 20), density=0.3, format="csr", rng=rng, dtype=np.float32)
for direct, hidden_size in (("sparse", None), (None, 4), ("sparse", 4)):
    model = SoftmaxClassifier(direct=direct, hidden_size=hidden_size, max_iter=1, n_threads=2)
    predictor = model.fit(X, rng.integers(0, 9, 50)).predictor()
    predictor.predict_topk(X, 3)
    W = sp.random_array((9, 20), density=0.5, format="csc", rng=rng, dtype=np.float32)
    prepared = PreparedWeights(W, np.zeros(9, np.float32), n_threads=2)
    linear_cross_entropy(X, prepared, np.zeros(50, int), return_grad=True, n_threads=2)
    child = os.fork()
    if child == 0:
        predictor.predict_topk(X, 3)
        predictor.predict_topk(X[:1], 3)
        linear_cross_entropy(X, prepared, np.zeros(50, int), return_grad=True, n_threads=2)
        os._exit(0)
    print(direct, hidden_size, os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork():
    """The threads of the parent are not in the child, which must not wait for them."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["sparse None 0", "None 4 0", "sparse 4 0"], done.stderr


def test_what_a_model_keeps_is_not_pickled(data):
    X, y = data
    model = fitted("sparse", X, y)
    size = len(pickle.dumps(model))
    model.predict_topk(X[[0]], 3)
    assert model._model.__dict__.get("_base") is not None
    assert len(pickle.dumps(model)) == size


@pytest.mark.parametrize("kind", MODELS)
def test_many_threads(data, kind):
    X, y = data
    model = fitted(kind, X, y)
    expected, predictor, wrong = model.predict_topk(X, 4), model.predictor(1), []

    def ask(first):
        for i in range(first, 150, 5):
            labels, log_proba = predictor.predict_topk(X[[i]], 4)
            if not (labels == expected[0][[i]]).all() or not np.allclose(
                log_proba, expected[1][[i]], rtol=1e-5, atol=1e-5
            ):
                wrong.append(i)

    workers = [threading.Thread(target=ask, args=(first,)) for first in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
