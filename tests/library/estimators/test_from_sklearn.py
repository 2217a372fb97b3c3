"""Models of scikit-learn as ours: the same distribution or the same logits, in bounded memory and in files."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression, from_sklearn, load

NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


def digits(n_classes=10, dtype=np.float64, names=False):
    X, y = load_digits(n_class=n_classes, return_X_y=True)
    X, y = X[:300].astype(dtype) / 16, y[:300]
    return X, NAMES[y] if names else y


# -- softmaxes --

SOFTMAXES = [
    LogisticRegression(),
    LogisticRegression(fit_intercept=False),
    LogisticRegression(solver="saga", l1_ratio=1, C=0.5, tol=0.1),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    SoftmaxRegression(),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("estimator", SOFTMAXES, ids=str)
def test_a_softmax_keeps_its_distribution(estimator, n_classes):
    X, y = digits(n_classes, names=True)
    estimator = estimator.fit(X, y)
    scores = estimator.decision_function(X)
    expected = log_softmax(np.stack([np.zeros(len(X)), scores], axis=1) if n_classes == 2 else scores, axis=1)
    model = from_sklearn(estimator)
    assert isinstance(model, SoftmaxClassifier)
    for rows in (X, sp.csr_array(X)):
        assert_allclose(model.predict_proba(rows), estimator.predict_proba(X), rtol=0, atol=1e-10)
        assert_allclose(model.predict_log_proba(rows), expected, rtol=1e-9, atol=1e-9)
        assert_array_equal(model.predict(rows), estimator.predict(X))
        assert_allclose(model.decision_function(rows), estimator.decision_function(X), rtol=0, atol=1e-9)
    labels, log_proba = model.predict_topk(X, 2)
    assert_array_equal(labels, estimator.classes_[np.argsort(-expected, axis=1)[:, :2]])
    assert_allclose(log_proba, -np.sort(-expected, axis=1)[:, :2], rtol=1e-9, atol=1e-9)
    assert_array_equal(model.classes_, estimator.classes_)
    assert model.n_features_in_ == 64 and model.score(X, y) == estimator.score(X, y)


def test_a_search_over_penalties():
    X, y = digits(3)
    estimator = LogisticRegressionCV(
        Cs=[0.1, 1.0], cv=2, l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False
    ).fit(X, y)
    assert_allclose(from_sklearn(estimator).predict_proba(X), estimator.predict_proba(X), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("n_classes", "is_sparse"), [(2, False), (2, True), (10, False), (10, True)])
def test_files(tmp_path, n_classes, is_sparse):
    X, y = digits(n_classes, names=True)
    estimator = LogisticRegression().fit(X, y)
    expected = estimator.predict_log_proba(X)
    model = from_sklearn(estimator.sparsify() if is_sparse else estimator)
    assert model.direct_ == ("sparse" if is_sparse else "dense") and sp.issparse(model.coef_) == is_sparse
    model.save(tmp_path / "model")
    for again in (
        load(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
        load(tmp_path / "model", memory_map=True),
    ):
        assert_allclose(again.predict_log_proba(X), expected, rtol=1e-6, atol=1e-9)
        assert_array_equal(again.classes_, estimator.classes_)
        assert_array_equal(again.predict_topk(X, 2)[0], model.predict_topk(X, 2)[0])


def test_types():
    X, y = digits(dtype=np.float32)
    estimator = LogisticRegression().fit(X, y)
    assert estimator.coef_.dtype == np.float32
    single, double = from_sklearn(estimator), from_sklearn(estimator, dtype="float64")
    assert single.predict_proba(X).dtype == np.float32 and double.predict_proba(X).dtype == np.float64
    assert from_sklearn(LogisticRegression().fit(*digits()), dtype=np.float32).dtype == "float32"
    assert_allclose(single.predict_log_proba(X), double.predict_log_proba(X), rtol=0, atol=1e-5)
    assert single.set_params(n_threads=1).n_threads == from_sklearn(estimator, n_threads=1).n_threads == 1
    with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float64', got 'float16'"):
        from_sklearn(estimator, dtype="float16")
    with pytest.raises(TypeError, match="n_threads"):
        from_sklearn(estimator, n_threads="two")


def test_weights_are_copies():
    X, y = digits()
    estimator = LogisticRegression().fit(X, y)
    model = from_sklearn(estimator)
    before = model.predict_proba(X)
    estimator.coef_[:] = 0
    assert_array_equal(model.predict_proba(X), before)


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    X, y = digits(3)
    table = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = from_sklearn(LogisticRegression().fit(table, y))
    assert list(model.feature_names_in_) == list(table.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[table.columns[::-1]])
    assert not hasattr(from_sklearn(LogisticRegression().fit(X, y)), "feature_names_in_")


@pytest.mark.parametrize("is_sparse", [False, True])
def test_training_goes_on(is_sparse):
    X, y = digits()
    estimator = LogisticRegression(C=1e-3).fit(X, y)
    model = from_sklearn(estimator.sparsify() if is_sparse else estimator)
    before = model.target_log_proba(X, y).mean()
    assert model.n_iter_ == 0
    for _ in range(3):
        model.partial_fit(sp.csr_array(X) if is_sparse else X, y)
    assert model.target_log_proba(X, y).mean() > before + 0.1 and model.n_iter_ == 3
    assert_array_equal(model.add_classes([10]).classes_, np.arange(11))


def test_other_orders_of_labels():
    """scikit-learn sorts labels, but others may set `classes_`."""
    X, y = digits(3, names=True)
    for n_classes in (3, 2):
        estimator = LogisticRegression().fit(X[np.isin(y, NAMES[:n_classes])], y[np.isin(y, NAMES[:n_classes])])
        expected = estimator.predict_proba(X)
        order = np.arange(n_classes)[::-1]
        estimator.classes_ = estimator.classes_[order]
        estimator.coef_, estimator.intercept_ = (
            (estimator.coef_[order], estimator.intercept_[order])
            if n_classes == 3
            else (-estimator.coef_, -estimator.intercept_)
        )
        model = from_sklearn(estimator)
        assert_array_equal(model.classes_, np.sort(estimator.classes_))
        assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-10)
        assert_allclose(from_sklearn(estimator.sparsify()).predict_proba(X), expected, rtol=0, atol=1e-10)


# -- one against all --

ONE_AGAINST_ALL = [
    LinearSVC(),
    LinearSVC(fit_intercept=False),
    SGDClassifier("log_loss", random_state=0),
    SGDClassifier("modified_huber", average=True, random_state=0),
    RidgeClassifier(),
    RidgeClassifierCV(),
]


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("estimator", ONE_AGAINST_ALL, ids=str)
def test_one_against_all_keeps_its_logits(estimator, n_classes):
    X, y = digits(n_classes, names=True)
    estimator = estimator.fit(X, y)
    model = from_sklearn(estimator)
    assert isinstance(model, OneVsAllClassifier)
    for rows in (X, sp.csr_array(X)):
        assert_allclose(model.decision_function(rows), estimator.decision_function(X), rtol=0, atol=1e-9)
        assert_array_equal(model.predict(rows), estimator.predict(X))
    assert_allclose(model.coef_, np.atleast_2d(estimator.coef_))
    scores = estimator.decision_function(X)
    scores = np.stack([-scores, scores], axis=1) if n_classes == 2 else scores
    labels, logits = model.predict_topk(X, 2)
    assert_array_equal(labels, estimator.classes_[np.argsort(-scores, axis=1)[:, :2]])
    assert_allclose(logits, -np.sort(-scores, axis=1)[:, :2], rtol=0, atol=1e-9)


def test_marginals_are_those_that_scikit_learn_normalises():
    X, y = digits()
    for loss in ("log_loss", "modified_huber"):
        estimator = SGDClassifier(loss, random_state=0, alpha=0.01).fit(X, y)
        marginals = from_sklearn(estimator).predict_marginals(X)
        some = marginals.sum(axis=1) > 0
        normalised = marginals[some] / marginals[some].sum(axis=1, keepdims=True)
        assert some.mean() > 0.9
        assert_allclose(normalised, estimator.predict_proba(X)[some], rtol=0, atol=1e-9)
    estimator = SGDClassifier("log_loss", random_state=0).fit(*digits(2))
    assert_allclose(from_sklearn(estimator).predict_marginals(X), estimator.predict_proba(X), rtol=0, atol=1e-9)


def test_sparse_coefficients_of_one_against_all():
    X, y = digits()
    for n_classes in (2, 10):
        X, y = digits(n_classes)
        estimator = SGDClassifier("log_loss", penalty="l1", random_state=0).fit(X, y)
        scores = estimator.decision_function(X)
        model = from_sklearn(estimator.sparsify())
        assert sp.issparse(model.coef_)
        assert_allclose(model.decision_function(X), scores, rtol=0, atol=1e-9)


# -- what is refused --


def test_other_estimators():
    X, y = digits(3)
    forest, perceptron = RandomForestClassifier(n_estimators=2).fit(X, y), Perceptron().fit(X, y)
    pipeline = make_pipeline(LogisticRegression()).fit(X, y)
    others = {"RandomForestClassifier": forest, "Perceptron": perceptron, "Pipeline": pipeline, "NoneType": None}
    for name, estimator in others.items():
        with pytest.raises(TypeError, match=f"estimator must be a fitted LogisticRegression, .*, got {name}"):
            from_sklearn(estimator)
    for estimator in (LogisticRegression(), SoftmaxRegression(), LinearSVC()):
        with pytest.raises(NotFittedError):
            from_sklearn(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("estimator", "loss"),
    [
        (SGDClassifier(), "hinge"),
        (LinearSVC(loss="hinge"), "hinge"),
        (LinearSVC(multi_class="crammer_singer"), "crammer_singer"),
    ],
)
def test_losses_that_estimate_no_probabilities(estimator, loss):
    X, y = digits(3)
    with pytest.raises(ValueError, match=f"estimates probabilities .*, got {type(estimator).__name__} with '{loss}'"):
        from_sklearn(estimator.fit(X, y))


def test_weights_that_are_not_finite():
    X, y = digits(3)
    estimator = LogisticRegression().fit(X, y)
    estimator.coef_[1, 2] = np.nan
    with pytest.raises(ValueError, match="coef_ of the estimator must be finite in float64"):
        from_sklearn(estimator)
    estimator.coef_[1, 2] = 1e300
    with pytest.raises(ValueError, match="coef_ of the estimator must be finite in float32"):
        from_sklearn(estimator, dtype="float32")
    estimator.coef_[1, 2], estimator.intercept_[0] = 0, np.inf
    with pytest.raises(ValueError, match="intercept_ of the estimator must be finite"):
        from_sklearn(estimator)


def test_coefficients_of_other_classes():
    X, y = digits(3)
    estimator = LogisticRegression().fit(X, y)
    estimator.classes_ = np.arange(4)
    with pytest.raises(ValueError, match=r"coef_ must have a row for each of the 4 classes, got shape \(3, 64\)"):
        from_sklearn(estimator)
