"""What a fitted OneVsAllClassifier predicts, its parameters, and what scikit-learn makes of it."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from fastsoftmax import OneVsAllClassifier

KINDS = {"dense": np.asarray, "csr": sp.csr_array}
LOSSES = ["squared_hinge", "logistic"]


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:400] / np.linalg.norm(X[:400], axis=1, keepdims=True), y[:400]


@pytest.fixture(scope="module", params=["dense", "csr", "dense, min_weight", "csr, min_weight"])
def fitted(request, data):
    """(model, X, y)"""
    kind, *pruned = request.param.split(", ")
    X = KINDS[kind](data[0])
    return OneVsAllClassifier(min_weight=0.1 if pruned else 0.0).fit(X, data[1]), X, data[1]


# -- predictions --


def test_decision_function(fitted):
    model, X, y = fitted
    coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
    assert coef.shape == (10, 64)
    decision = model.decision_function(X)
    assert_allclose(decision, X @ coef.T + model.intercept_, atol=1e-12)
    assert_array_equal(model.predict(X), decision.argmax(axis=1))
    assert_allclose(model.score(X, y), np.mean(decision.argmax(axis=1) == y))
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("k", [1, 3, 10])
def test_topk(fitted, k):
    model, X, _ = fitted
    decision = model.decision_function(X)
    labels, logits = model.predict_topk(X, k)
    order = np.argsort(-decision, axis=1, kind="stable")[:, :k]
    assert_array_equal(labels, order)
    assert_allclose(logits, np.take_along_axis(decision, order, axis=1), atol=1e-12)
    assert logits.dtype == np.float64


@pytest.mark.parametrize("threshold", [None, 0.4, 0.9])
@pytest.mark.parametrize("k", [1, 4, 12])
@pytest.mark.parametrize("classes", [None, [7, 2, 2, 5]])
@pytest.mark.parametrize("excludes", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_eligible_topk(data, loss, excludes, classes, k, threshold):
    X, y = data[0], np.array([f"digit {k}" for k in range(10)])[data[1]]
    model = OneVsAllClassifier(loss).fit(X, y)
    is_excluded = np.random.default_rng(0).random((len(y), 10)) < 0.3 * excludes
    if k > 10 and threshold is None and classes is None and not excludes:
        with pytest.raises(ValueError, match="k must be at most 10, got 12"):
            model.predict_topk(X, k)
        return
    names = None if classes is None else model.classes_[classes]
    exclude = sp.csr_array(is_excluded) if excludes else None
    labels, logits = model.predict_topk(X, k, classes=names, exclude=exclude, threshold=threshold)
    decision, marginals = model.decision_function(X), model.predict_marginals(X)
    for i in range(len(X)):
        left = np.arange(10) if classes is None else np.unique(classes)
        left = left[~is_excluded[i, left]]
        if threshold is not None:
            left = left[marginals[i, left] >= threshold]
        best = left[np.argsort(-decision[i, left], kind="stable")][:k]
        assert labels[i].tolist() == [*model.classes_[best], *[""] * (k - len(best))]
        assert_allclose(logits[i], [*decision[i, best], *[-np.inf] * (k - len(best))], atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_marginals(data, loss):
    X, y = data
    model = OneVsAllClassifier(loss, C=10).fit(X, y)
    z, p = model.decision_function(X), model.predict_marginals(X)
    assert p.shape == (400, 10) and p.min() >= 0 and p.max() <= 1
    assert_allclose(p, 1 / (1 + np.exp(-z)) if loss == "logistic" else np.clip((1 + z) / 2, 0, 1), atol=1e-12)
    means, shares = p.mean(axis=0), np.mean(y[:, None] == np.arange(10), axis=0)
    assert_allclose(means, shares, atol=0.03)


def test_small_weights_become_zero(data):
    for kind in KINDS.values():
        X, y = kind(data[0]), data[1]
        dense, sparse = (OneVsAllClassifier(min_weight=m).fit(X, y) for m in (0.0, 0.2))
        assert sp.issparse(sparse.coef_) and sparse.coef_.format == "csc"
        assert_array_equal(sparse.coef_.toarray(), np.where(np.abs(dense.coef_) >= 0.2, dense.coef_, 0))
        assert_array_equal(sparse.intercept_, dense.intercept_)
        assert 0 < sparse.coef_.nnz < 640
        assert (sparse.coef_.data != 0).all()
        none = OneVsAllClassifier(min_weight=1e9).fit(X, y)
        assert none.coef_.nnz == 0
        assert_allclose(none.decision_function(X), np.tile(dense.intercept_, (400, 1)))


@pytest.mark.parametrize("min_weight", [0.0, 0.2])
def test_two_classes(data, min_weight):
    X, y = data[0], np.where(data[1] < 5, "low", "high")
    model = OneVsAllClassifier(min_weight=min_weight).fit(X, y)
    assert model.coef_.shape == (1, 64) and model.intercept_.shape == (1,)
    decision = model.decision_function(X)
    assert_allclose(decision, np.ravel(X @ model.coef_.T) + model.intercept_, atol=1e-12)
    assert_array_equal(model.predict(X), model.classes_[(decision > 0).astype(int)])
    labels, logits = model.predict_topk(X, 2)
    assert_allclose(logits[:, 0], np.abs(decision))
    assert_allclose(logits[:, 1], -np.abs(decision))
    assert set(labels[0]) == {"low", "high"}
    assert_array_equal(model.compressed("float16").coef_.shape, (1, 64))


@pytest.mark.parametrize("storage", ["bfloat16", "float16", "int8"])
def test_compressed(fitted, storage):
    model, X, y = fitted
    small = model.compressed(storage)
    assert small.storage_ == storage and model.storage_ is None
    assert np.mean(small.predict(X) == model.predict(X)) > 0.97
    assert_allclose(small.decision_function(X), model.decision_function(X), atol=0.05)
    assert_array_equal(small.fit(X, y).decision_function(X), model.decision_function(X))


def test_score_of_several_labels(data):
    X, y = data
    lists = [[label, (label + 1) % 10] for label in y]
    model = OneVsAllClassifier().fit(X, lists)
    best = model.predict(X)
    assert_allclose(model.score(X, lists), np.mean([label in row for label, row in zip(best, lists, strict=True)]))
    top = model.predict_topk(X, 2)[0]
    assert np.mean([set(a) == set(b) for a, b in zip(top.tolist(), lists, strict=True)]) > 0.8


@pytest.mark.parametrize(
    "names",
    [
        np.array([f"{k}" for k in range(10)]),
        np.arange(10) - 5,
        np.array([b"abcdefghij"[k : k + 1] for k in range(10)]),
        np.arange(10).astype("datetime64[D]"),
        np.array([(k, "x") for k in range(10)] + [None], dtype=object)[:10],
    ],
    ids=["strings", "integers", "bytes", "dates", "tuples"],
)
def test_labels_of_any_kind(data, names):
    X, y = data
    model, base = OneVsAllClassifier().fit(X, names[y]), OneVsAllClassifier().fit(X, y)
    assert model.classes_.tolist() == np.sort(names).tolist()
    assert_array_equal(model.predict(X), names[base.predict(X)])
    assert model.score(X, names[y]) == base.score(X, y)


# -- parameters --


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"loss": "hinge"}, ValueError, "loss must be one of 'squared_hinge', 'logistic', got 'hinge'"),
        ({"loss": None}, ValueError, "loss must be one of .*got None"),
        ({"C": 0}, ValueError, "C must be above 0, got 0"),
        ({"C": -1.0}, ValueError, "C must be above 0, got -1.0"),
        ({"C": np.nan}, ValueError, "C must be finite, got nan"),
        ({"C": np.inf}, ValueError, "C must be finite, got inf"),
        ({"C": True}, TypeError, "C must be a .*got True"),
        ({"C": "1"}, TypeError, "C must be a .*got '1'"),
        ({"C": 1e200}, ValueError, "C times the largest weight of a row and a class must be from .*got 1e\\+200"),
        ({"C": 1e-200}, ValueError, "C times the largest weight .* must be from .*for float64 X, got 1e-200"),
        ({"class_weight": {0: 1e200}}, ValueError, "C times the largest weight .*got 1e\\+200"),
        ({"tol": -1.0}, ValueError, "tol must be at least 0, got -1.0"),
        ({"tol": np.nan}, ValueError, "tol must be finite, got nan"),
        ({"tol": False}, TypeError, "tol must be a .*got False"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1, got 0"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer, got 1.5"),
        ({"max_iter": True}, TypeError, "max_iter must be an integer, got True"),
        ({"fit_intercept": 1}, TypeError, "fit_intercept must be True or False, got 1"),
        ({"fit_intercept": "no"}, TypeError, "fit_intercept must be True or False, got 'no'"),
        ({"intercept_scaling": 0}, ValueError, "intercept_scaling must be above 0, got 0"),
        ({"intercept_scaling": np.nan}, ValueError, "intercept_scaling must be finite, got nan"),
        ({"feature_scaling": 1.5}, ValueError, "feature_scaling must be at most 1, got 1.5"),
        ({"feature_scaling": -0.5}, ValueError, "feature_scaling must be at least 0, got -0.5"),
        ({"feature_scaling": "tf"}, TypeError, "feature_scaling must be .*got 'tf'"),
        ({"feature_scaling": None}, TypeError, "feature_scaling must be .*got None"),
        ({"class_weight": "even"}, ValueError, "class_weight must be None, 'balanced' or a dict .*got 'even'"),
        ({"class_weight": {77: 1.0}}, ValueError, "class_weight holds 77, which is not among the 10 classes"),
        ({"class_weight": {0: -1.0}}, ValueError, "class_weight must be finite and not negative, got -1.0 for 0"),
        ({"class_weight": {0: True}}, TypeError, "class_weight must hold real numbers, got True for 0"),
        ({"min_weight": -1}, ValueError, "min_weight must be at least 0, got -1"),
        ({"min_weight": np.nan}, ValueError, "min_weight must be finite, got nan"),
        ({"min_weight": "0"}, TypeError, "min_weight must be a .*got '0'"),
        ({"n_threads": 0}, ValueError, "n_threads must be .*got 0"),
        ({"n_threads": True}, TypeError, "n_threads must be .*got True"),
        ({"verbose": "yes"}, TypeError, "verbose must be .*got 'yes'"),
        ({"verbose": -1}, ValueError, "verbose must be .*got -1"),
    ],
    ids=str,
)
def test_bad_parameters(data, params, error, message, monkeypatch):
    monkeypatch.setattr("fastsoftmax.newton.one_vs_all.solve", None)  # nothing is solved
    with pytest.raises(error, match=message):
        OneVsAllClassifier(**params).fit(*data)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), r"sample_weight must have shape \(400,\), one number a row of X, got \(3,\)"),
        (np.zeros(400), "sample_weight must not be all zero"),
        (np.full(400, -1.0), "sample_weight must be finite and not negative, got -1.0 at position 0"),
        (np.full(400, np.nan), "sample_weight must be finite and not negative, got nan at position 0"),
        (np.full(400, 1e307), "sample_weight must have a finite sum"),
        (np.full(400, 1e160), "C times the largest weight of a row and a class must be from"),
    ],
)
def test_bad_sample_weights(data, weight, message):
    with pytest.raises(ValueError, match=message):
        OneVsAllClassifier().fit(*data, sample_weight=weight)


def test_bad_rows(data):
    X, y = data
    for bad, message in ((np.nan, "X must be finite, got NaN"), (np.inf, "X must be finite, got inf")):
        with pytest.raises(ValueError, match=message):
            OneVsAllClassifier().fit(np.where(X.max() == X, bad, X), y)
    with pytest.raises(ValueError, match="classes"):
        OneVsAllClassifier().fit(X, np.zeros(400, int))
    with pytest.raises(ValueError, match="400"):
        OneVsAllClassifier().fit(X, y[:-1])


def test_bad_arguments_of_predictions(data):
    model = OneVsAllClassifier().fit(*data)
    for threshold in (0, 1, -0.5, np.nan):
        with pytest.raises(ValueError, match=f"threshold must be .*got {threshold}"):
            model.predict_topk(data[0], threshold=threshold)
    with pytest.raises(ValueError, match=r"k must be .*got 0"):
        model.predict_topk(data[0], 0)
    with pytest.raises(ValueError, match="classes"):
        model.predict_topk(data[0], classes=[77])
    with pytest.raises(ValueError, match="64 features"):
        model.predict_marginals(data[0][:, :3])


def test_results_that_do_not_fit_into_memory(data, monkeypatch):
    model = OneVsAllClassifier().fit(*data)
    monkeypatch.setattr("fastsoftmax.runtime.memory.available", lambda: 1000)
    for method in (model.decision_function, model.predict_marginals):
        with pytest.raises(MemoryError, match="predict_topk needs no such array"):
            method(data[0])


# -- scikit-learn --


def test_parameters_copies_and_pickles(fitted):
    model, X, _ = fitted
    other = clone(model).set_params(C=3.0)
    assert other.get_params() == model.get_params() | {"C": 3.0} and not hasattr(other, "coef_")
    assert_array_equal(pickle.loads(pickle.dumps(model)).decision_function(X), model.decision_function(X))
    assert repr(OneVsAllClassifier(C=3.0)) == "OneVsAllClassifier(C=3.0)"
    with pytest.raises(ValueError, match="Invalid parameter 'alpha'"):
        other.set_params(alpha=3)


def test_searches_and_pipelines(data):
    X, y = data[0] * 7, data[1]
    pipeline = make_pipeline(Normalizer(), OneVsAllClassifier(n_threads=1))
    search = GridSearchCV(pipeline, {"onevsallclassifier__C": [1e-4, 1.0]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"onevsallclassifier__C": 1.0} and search.best_score_ > 0.85
    assert cross_val_score(OneVsAllClassifier(), X, y < 5, scoring="roc_auc", cv=3).min() > 0.7
    assert cross_val_score(OneVsAllClassifier(), X, y, scoring="balanced_accuracy", cv=2).min() > 0.8
    indicator = np.eye(10, dtype=int)[y] | np.eye(10, dtype=int)[(y + 1) % 10]
    assert ClassifierChain(OneVsAllClassifier()).fit(X[:100], indicator[:100, :3]).predict(X).shape == (400, 3)


def test_texts():
    texts, y = ["a cat", "the dog", "a bird"] * 20, ["c", "d", "b"] * 20
    assert make_pipeline(TfidfVectorizer(), OneVsAllClassifier()).fit(texts, y).predict(["my dog"]).tolist() == ["d"]


def test_DataFrames(data):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(data[0], columns=[f"pixel {k}" for k in range(64)])
    model = OneVsAllClassifier().fit(X, pandas.Series(data[1]))
    assert model.feature_names_in_.tolist() == X.columns.tolist() and model.n_features_in_ == 64
    assert_array_equal(model.predict(X), OneVsAllClassifier().fit(*data).predict(data[0]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[X.columns[::-1]])
    assert not hasattr(model.fit(*data), "feature_names_in_")
