"""SoftmaxClassifier inside what scikit-learn and joblib make of estimators."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler

from fastsoftmax import SoftmaxClassifier


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:400] / 16, y[:400]


@pytest.fixture(scope="module")
def fitted(data):
    return small().fit(*data)


def small(**params):
    common = {"random_state": 0, "n_threads": 1, "max_iter": 3, "learning_rate": 0.5, "schedule": "linear"}
    if params.get("direct") == "sparse" and "hidden_size" not in params:
        del common["learning_rate"]  # a sparse term has its own
    return flat_classifier(**common | params)


# -- two classes --


@pytest.mark.parametrize("params", [{}, {"hidden_size": 4}, {"direct": "sparse"}])
def test_decision_function_of_two_classes(data, params):
    X, y = data[0], np.where(data[1] < 5, "low", "high")
    model = small(**params).fit(X, y)
    decision = model.decision_function(X)
    assert decision.shape == (400,)
    assert_array_equal(model.classes_[(decision > 0).astype(int)], model.predict(X))
    assert_allclose(1 / (1 + np.exp(-decision)), model.predict_proba(X)[:, 1], rtol=1e-4, atol=1e-6)
    assert_allclose(np.diff(model.predict_log_proba(X))[:, 0], decision, rtol=1e-4, atol=1e-5)
    longer = small(**params, batch_size=16, max_iter=10)
    assert cross_val_score(longer, X, y, scoring="roc_auc", cv=3).min() > 0.7


# -- searches, calibration, ensembles --


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_searches_in_parallel(data, backend):
    grid, common = {"learning_rate": [0.01, 0.5]}, {"cv": 2, "n_jobs": 2, "scoring": "neg_log_loss"}
    with joblib.parallel_config(backend=backend):
        search = GridSearchCV(small(), grid, **common).fit(*data)
    serial = GridSearchCV(small(), grid, **common | {"n_jobs": 1}).fit(*data)
    assert search.best_params_ == {"learning_rate": 0.5}
    assert_array_equal(search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"])


def test_other_searches(data):
    grid = {"learning_rate": [0.01, 0.5]}
    for search in (
        RandomizedSearchCV(small(), grid, n_iter=2, cv=2),
        HalvingGridSearchCV(small(), grid, cv=2, factor=2),
    ):
        assert search.fit(*data).best_params_ == {"learning_rate": 0.5}


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_classifier(data, method):
    X, y = data
    model = CalibratedClassifierCV(small(batch_size=32), method=method, cv=2).fit(X, y)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    assert model.score(X, y) > 0.75
    frozen = CalibratedClassifierCV(FrozenEstimator(small(batch_size=32).fit(X[:200], y[:200])), method=method).fit(
        X[200:], y[200:]
    )
    assert frozen.score(X[200:], y[200:]) > 0.75
    two = CalibratedClassifierCV(small(batch_size=32), method=method, cv=2).fit(X, y < 5)
    assert two.predict_proba(X).shape == (400, 2) and two.score(X, y < 5) > 0.75


def test_a_class_that_a_fold_lacks(data):
    X, y = data[0], data[1].copy()
    y[7] = 99
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # least populated class
        warnings.simplefilter("ignore", RuntimeWarning)  # classes that a fold lacks: their column is filled
        model = CalibratedClassifierCV(small(), cv=list(StratifiedKFold(2).split(X, y))).fit(X, y)
        proba = cross_val_predict(small(), X, y, cv=StratifiedKFold(2), method="predict_proba")
    assert model.predict_proba(X).shape == proba.shape == (400, 11)


def test_ensembles(data):
    X, y = data
    for ensemble in (
        StackingClassifier([("a", small()), ("b", small(hidden_size=8))], LogisticRegression(max_iter=1000), cv=2),
        VotingClassifier([("a", small()), ("b", small(hidden_size=8))], voting="soft"),
        OneVsRestClassifier(small()),
    ):
        assert ensemble.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("scoring", ["neg_log_loss", "top_k_accuracy", "roc_auc_ovr", "balanced_accuracy", "f1_macro"])
def test_scoring_by_name(data, scoring):
    assert np.isfinite(cross_val_score(small(), *data, scoring=scoring, cv=2, error_score="raise")).all()


# -- pipelines, DataFrames, the hidden layer --


def test_text_pipeline():
    texts, y = ["a cat", "the dog", "a bird"] * 20, ["c", "d", "b"] * 20
    union = make_union(TfidfVectorizer(token_pattern=r"\w+"), TfidfVectorizer(analyzer="char"))
    for model in (make_pipeline(TfidfVectorizer(), small()), make_pipeline(union, small(direct="sparse"))):
        assert model.fit(texts, y).predict(["my dog"]).tolist() == ["d"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_DataFrames(data, library, tmp_path):
    frames = pytest.importorskip(library)
    names = [f"pixel {k}" for k in range(64)]
    X, y = frames.DataFrame(dict(zip(names, data[0].T, strict=True))), frames.Series(data[1])
    model = small().fit(X, y)
    assert model.feature_names_in_.tolist() == names
    assert_array_equal(model.predict(X), small().fit(*data).predict(data[0]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[names[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(data[0])
    model.save(tmp_path / "model")
    loaded = SoftmaxClassifier.load(tmp_path / "model")
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.partial_fit(X[names[::-1]], y)
    assert_array_equal(loaded.partial_fit(X, y).feature_names_in_, names)
    assert not hasattr(model.fit(*data), "feature_names_in_")
    assert_array_equal(small().partial_fit(X, y, classes=np.arange(10)).feature_names_in_, names)
    pipeline = make_pipeline(StandardScaler().set_output(transform=library), small()).fit(X, y)
    assert pipeline[-1].feature_names_in_.tolist() == names and pipeline.score(X, y) > 0.9


def test_names_of_further_DataFrames(data):
    pandas = pytest.importorskip("pandas")
    X, y = pandas.DataFrame(data[0], columns=[f"pixel {k}" for k in range(64)]), data[1]
    other = X[X.columns[::-1]]
    model = small(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"columns of X are not those expected.* got 'pixel 63' for 'pixel 0'"):
        model.fit(other, y)
    model.fit(X, y)
    with pytest.raises(ValueError, match="columns of X_val are not those expected"):
        small(early_stopping=True).fit(X, y, X_val=other, y_val=y)
    small(early_stopping=True).fit(X, y, X_val=X, y_val=y)


def test_names_that_are_not_all_strings_leave_the_model(data):
    pandas = pytest.importorskip("pandas")
    model = small().fit(*data)
    before = model.predict_proba(data[0])
    with pytest.raises(TypeError, match="all input features have string names"):
        model.fit(pandas.DataFrame(data[0]).rename(columns={0: "zero"}), data[1])
    assert_array_equal(model.predict_proba(data[0]), before)


@pytest.mark.parametrize("make_X", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("params", [{}, {"direct": "sparse"}, {"direct": "sparse", "n_hidden_features": 40}])
def test_transform_is_the_hidden_layer(data, params, make_X):
    X, y = make_X(data[0]), data[1]
    model = small(hidden_size=8, **params).fit(X, y)
    hidden = model.transform(X)
    assert_allclose(hidden, data[0][:, : len(model.embedding_)] @ model.embedding_, rtol=1e-4, atol=1e-5)
    assert hidden.dtype == np.float32
    assert model.get_feature_names_out().tolist() == [f"softmaxclassifier{k}" for k in range(8)]
    pandas = pytest.importorskip("pandas")
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pandas.DataFrame) and frame.columns[1] == "softmaxclassifier1"
    assert_array_equal(frame, hidden)


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)  # pixels that are not scaled, at such a rate
def test_transform_is_there_with_a_low_rank_term_only(data):
    for model in (small(), small(hidden_size=None), small().fit(*data)):
        assert not hasattr(model, "transform") and not hasattr(model, "fit_transform")
    assert hasattr(small(hidden_size=8), "transform")
    assert hasattr(small(direct=None).fit(*data), "transform")  # "auto" chose a size
    pipeline = make_pipeline(MaxAbsScaler(), small(hidden_size=16), LogisticRegression(max_iter=1000)).fit(*data)
    assert pipeline.score(*data) > 0.9


# -- metadata --


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_sample_weight_is_routed(data, routing):
    X, y = data
    weight = np.where(y < 5, 1.0, 1e-6)
    model = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    pipeline = make_pipeline(MaxAbsScaler(), model)
    plain = cross_validate(make_pipeline(MaxAbsScaler(), small()), X, y, cv=2)["test_score"]
    scores = cross_validate(pipeline, X, y, cv=2, params={"sample_weight": weight})["test_score"]
    assert (scores > plain).all()  # only the classes that it was trained for count
    search = GridSearchCV(pipeline, {"softmaxclassifier__batch_size": [256]}, cv=2).fit(X, y, sample_weight=weight)
    assert_allclose(search.best_score_, scores.mean())
    assert_array_equal(
        search.predict_proba(X),
        small().fit(MaxAbsScaler().fit_transform(X), y, weight).predict_proba(MaxAbsScaler().fit_transform(X)),
    )


def test_all_that_can_be_requested():
    requests = small().get_metadata_routing()
    begins_at = {"coef_init", "intercept_init", "embedding_init"}
    validation = {"X_val", "y_val", "sample_weight_val"}
    assert set(requests.fit.requests) == {"sample_weight"} | begins_at | validation
    assert set(requests.partial_fit.requests) >= {"sample_weight", "classes"}
    assert set(requests.score.requests) == {"sample_weight"}


# -- copies, files, settings --


@pytest.mark.parametrize("params", [{}, {"direct": "sparse", "hidden_size": 4}])
def test_joblib_with_a_memory_map(data, params, tmp_path):
    model = small(**params).fit(*data)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_array_equal(mapped.predict_proba(data[0]), model.predict_proba(data[0]))
    assert_array_equal(
        mapped.partial_fit(*data).predict_proba(data[0]), model.partial_fit(*data).predict_proba(data[0])
    )


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_protocols(data, fitted, protocol):
    other = pickle.loads(pickle.dumps(fitted, protocol=protocol))
    assert_array_equal(other.predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_clone_copy_and_parameters(data, fitted):
    other = clone(fitted).set_params(max_iter=1)
    assert other.get_params() == fitted.get_params() | {"max_iter": 1} and not hasattr(other, "n_iter_")
    assert_array_equal(copy.deepcopy(fitted).predict_proba(data[0]), fitted.predict_proba(data[0]))
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        other.set_params(epochs=3)


def test_representations(fitted):
    assert "SoftmaxClassifier" in fitted._repr_html_() and "SoftmaxClassifier" in small()._repr_html_()
    assert repr(SoftmaxClassifier(max_iter=3)) == "SoftmaxClassifier(max_iter=3)"


def test_not_finite_is_an_error_even_where_scikit_learn_would_not_look(data, fitted):
    with sklearn.config_context(assume_finite=True), pytest.raises(ValueError, match="X must be finite, got NaN"):
        fitted.predict(np.full((1, 64), np.nan))


def test_score_by_weight(data, fitted):
    X, y = data
    wrong = fitted.predict(X) != y
    assert 0 < wrong.sum() < 400
    assert fitted.score(X, y, sample_weight=wrong) == 0 and fitted.score(X, y, sample_weight=~wrong) == 1
    assert_allclose(log_loss(y, fitted.predict_proba(X)), -fitted.target_log_proba(X, y).mean(), rtol=1e-5)
    identity = make_pipeline(FunctionTransformer(), fitted)
    assert identity.score(X, y) == fitted.score(X, y)
