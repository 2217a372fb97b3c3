"""NegLogLoss in scikit-learn's searches and cross-validation."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression
from fastsoftmax.metrics import NegLogLoss
from fastsoftmax.text.text_vectorizer import TextVectorizer

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = np.array(list("abcdef"))[np.arange(60) % 5]  # no "f", which stands for labels that nobody has seen
WEIGHT = RNG.random(60)


class ProbabilitiesAlone(DummyClassifier):
    predict_log_proba = property()  # none

    def predict_proba(self, X):
        return np.tile(self.class_prior_, (len(X), 1))


MODELS = {
    "SoftmaxRegression": SoftmaxRegression(),
    "SoftmaxClassifier": SoftmaxClassifier(max_iter=2, random_state=0, dtype="float64"),
    "LogisticRegression": LogisticRegression(),
    "probabilities alone": ProbabilitiesAlone(strategy="prior"),
    "in a pipeline": make_pipeline(StandardScaler(), FunctionTransformer(), SoftmaxRegression()),
    "in a pipeline of its own": make_pipeline(SoftmaxRegression()),
    "in two pipelines": make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), SoftmaxRegression())),
}


def expected(model, X, y, weight=None):
    """scikit-learn's log-loss of all labels, where probabilities have a column of zeros for each that is unknown."""
    labels = np.union1d(model.classes_, y)
    proba = np.zeros((len(y), len(labels)))
    proba[:, np.searchsorted(labels, model.classes_)] = model.predict_proba(X)
    return -log_loss(y, proba, labels=labels, sample_weight=weight)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_it_is_scikit_learns_where_every_label_is_known(model):
    model = clone(model).fit(X, Y)
    assert NegLogLoss()(model, X, Y) == pytest.approx(get_scorer("neg_log_loss")(model, X, Y), rel=1e-6)
    weighted = get_scorer("neg_log_loss")(model, X, Y, sample_weight=WEIGHT)
    assert NegLogLoss()(model, X, Y, sample_weight=WEIGHT) == pytest.approx(weighted, rel=1e-6)
    assert NegLogLoss()(model, X, Y, sample_weight=3 * WEIGHT) == pytest.approx(weighted, rel=1e-6)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_labels_that_training_never_saw(model):
    model, y = clone(model).fit(X, Y), Y.copy()
    y[:3] = "f"
    with pytest.raises(ValueError):
        get_scorer("neg_log_loss")(model, X, y)
    assert NegLogLoss()(model, X, y) == pytest.approx(expected(model, X, y), rel=1e-6)
    assert NegLogLoss()(model, X, y, WEIGHT) == pytest.approx(expected(model, X, y, WEIGHT), rel=1e-6)
    assert NegLogLoss()(model, X[:3], y[:3]) == pytest.approx(np.log(EPS))
    assert NegLogLoss(1e-3)(model, X[:3], y[:3]) == pytest.approx(np.log(1e-3))
    assert NegLogLoss(floor=0)(model, X, y) == -np.inf
    weight = np.arange(60) >= 3
    assert NegLogLoss(floor=0)(model, X, y, weight) == pytest.approx(NegLogLoss()(model, X[3:], y[3:]))


def test_to_know_fewer_classes_is_never_better():
    """A label that a model knows, however unlikely it finds it, costs no more than one that it does not know."""
    for log_proba in (-10.0, -36.0, -37.0, -700.0, -np.inf):
        model = SimpleNamespace(
            classes_=np.array(["a", "b"]), predict_log_proba=lambda X, p=log_proba: np.array([[0.0, p]])
        )
        assert NegLogLoss()(model, X[:1], ["b"]) == pytest.approx(max(log_proba, np.log(EPS)))
        assert NegLogLoss()(model, X[:1], ["b"]) >= NegLogLoss()(model, X[:1], ["c"]) == pytest.approx(np.log(EPS))


def test_cross_validation_and_searches_over_folds_that_lack_classes():
    y = Y.copy()
    y[7] = "z"
    folds = KFold(5, shuffle=True, random_state=0)
    with pytest.warns(UserWarning, match="Scoring failed"):
        assert np.isnan(cross_val_score(SoftmaxRegression(), X, y, cv=folds, scoring="neg_log_loss")).any()
    scores = cross_val_score(SoftmaxRegression(), X, y, cv=folds, scoring=NegLogLoss())
    for score, (train, test) in zip(scores, folds.split(X), strict=True):
        assert score == pytest.approx(expected(SoftmaxRegression().fit(X[train], y[train]), X[test], y[test]))
    search = GridSearchCV(SoftmaxRegression(), {"C": [1e-3, 1.0]}, cv=folds, scoring=NegLogLoss()).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() < 0
    several = {"log_loss": NegLogLoss(), "floor": NegLogLoss(1e-3), "accuracy": "accuracy"}
    results = cross_validate(SoftmaxRegression(), X, y, cv=folds, scoring=several)
    np.testing.assert_array_equal(results["test_log_loss"], scores)
    assert (results["test_floor"] >= scores).all() and (results["test_floor"] > scores).any()


def test_texts_in_a_pipeline():
    texts = ["boil an egg", "bake the bread", "an egg for breakfast", "bread and butter"] * 5 + ["sharpen a knife"]
    labels = ["egg", "bread"] * 10 + ["knife"]
    model = make_pipeline(TextVectorizer(), SoftmaxClassifier(n_threads=1, random_state=0))
    grid = {"textvectorizer__max_words": [1, 2], "textvectorizer__max_chars": [0, 4]}
    search = GridSearchCV(model, grid, cv=KFold(3), scoring=NegLogLoss()).fit(texts, labels)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all() and len(search.cv_results_["params"]) == 4


def test_rows_with_several_labels_and_rows_that_do_not_count():
    lists = [["a", "b"], ["b"], ["c"]] * 20
    model = SoftmaxClassifier(max_iter=2, random_state=0, objective="recall").fit(sp.csr_array(X), lists)
    log_proba = model.target_log_proba(X, lists)
    assert NegLogLoss()(model, X, lists) == pytest.approx(log_proba.mean())
    unknown = [["a", "z"], *lists[1:]]
    assert NegLogLoss()(model, X, unknown) == pytest.approx((log_proba[1:].sum() + np.log(EPS)) / 60)
    y = Y.astype(object)
    y[:10] = None
    model = SoftmaxClassifier(max_iter=2, random_state=0, ignore_label=np.nan).fit(X, y)
    rest = NegLogLoss()(model, X[10:], y[10:], WEIGHT[10:])
    assert NegLogLoss()(model, X, y, WEIGHT) == pytest.approx(rest)
    with pytest.raises(ValueError, match="at least one entry"):
        NegLogLoss()(model, X[:10], y[:10])


def test_weights_of_a_search():
    y = Y.copy()
    y[7] = "z"
    for scoring in (NegLogLoss(), {"log_loss": NegLogLoss(), "accuracy": "accuracy"}):
        search = GridSearchCV(SoftmaxRegression(), {"C": [1.0]}, cv=KFold(5), scoring=scoring, refit=False)
        search.fit(X, y, sample_weight=WEIGHT)
        name = "log_loss" if isinstance(scoring, dict) else "score"
        for i, (train, test) in enumerate(KFold(5).split(X)):
            model = SoftmaxRegression().fit(X[train], y[train], WEIGHT[train])
            score = search.cv_results_[f"split{i}_test_{name}"][0]
            assert score == pytest.approx(expected(model, X[test], y[test], WEIGHT[test]), rel=1e-6)


def test_metadata_routing():
    weight = np.where(np.arange(60) % 2, 1.0, 100.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = SoftmaxRegression().set_fit_request(sample_weight=True)
        given = {"cv": KFold(3), "params": {"sample_weight": weight}}
        with pytest.raises(ValueError, match="sample_weight"):  # it was not told whether to take them
            cross_val_score(model, X, Y, scoring=NegLogLoss(), **given)
        of_request = {}
        for request in (False, True):
            scoring = NegLogLoss().set_score_request(sample_weight=request)
            of_request[request] = cross_val_score(model, X, Y, scoring=scoring, **given)
    for i, (train, test) in enumerate(KFold(3).split(X)):
        fitted = SoftmaxRegression().fit(X[train], Y[train], weight[train])
        for request, scores in of_request.items():
            score = expected(fitted, X[test], Y[test], weight[test] if request else None)
            assert scores[i] == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize(
    ("floor", "error"),
    [(-0.1, ValueError), (1.0, ValueError), (np.nan, ValueError), ("0", TypeError), (None, TypeError)],
)
def test_floors_that_are_none(floor, error):
    with pytest.raises(error, match="floor must be"):
        NegLogLoss(floor)


def test_what_cannot_be_scored():
    model = SoftmaxRegression().fit(X, Y)
    for weight in (WEIGHT[:-1], -WEIGHT, np.zeros(60)):
        with pytest.raises(ValueError, match="sample_weight must"):
            NegLogLoss()(model, X, Y, weight)
    with pytest.raises(ValueError, match="y has 59 labels, but X has 60 rows"):
        NegLogLoss()(model, X, Y[:-1])
    with pytest.raises(ValueError, match=r"predict_log_proba\(X\) must have shape \(59, 5\)"):
        NegLogLoss()(LogisticRegression().fit(X, Y), X, Y[:-1])
    with pytest.raises(TypeError, match="predict_log_proba or predict_proba, got OneVsAllClassifier"):
        NegLogLoss()(OneVsAllClassifier().fit(X, Y), X, Y)
    broken = LogisticRegression().fit(X, Y)
    broken.intercept_ = broken.intercept_ * np.nan
    with pytest.raises(ValueError, match=r"predict_log_proba\(X\) says of y must not hold NaN"):
        NegLogLoss()(broken, X, Y)


def test_copies_and_what_it_looks_like():
    scorer = NegLogLoss(1e-6)
    assert repr(scorer) == "NegLogLoss(floor=1e-06)" and repr(NegLogLoss()) == "NegLogLoss()"
    assert pickle.loads(pickle.dumps(scorer)).floor == 1e-6
    assert clone(GridSearchCV(SoftmaxRegression(), {}, scoring=scorer)).scoring.floor == 1e-6
