"""OneVsAllClassifier's weights against LIBLINEAR's, and against what must hold at an optimum."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from one_vs_all_problems import KINDS, LOSSES, exact, gradient_norms, problem
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from fastsoftmax import OneVsAllClassifier


def peer(loss="squared_hinge", **params):
    common = {"tol": 1e-10, "max_iter": 100_000}
    if loss == "squared_hinge":
        return LinearSVC(dual=False, **common | params)
    return LogisticRegression(solver="liblinear", **common | params)


def peers_weights(loss, X, y, sample_weight=None, class_weight=None, **params):
    """The coefficients and intercepts of LIBLINEAR, each label against the others by itself."""
    coef, intercept = [], []
    for label in np.unique(y):
        factors = None if class_weight is None else {True: class_weight.get(label, 1.0)}
        model = peer(loss, class_weight=factors, **params).fit(X, y == label, sample_weight)
        coef.append(model.coef_[0])
        intercept.append(np.ravel(model.intercept_)[0])
    return np.array(coef), np.array(intercept)


# -- the optimum --


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("C", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_optimum_is_liblinears(kind, loss, dtype, C, fit_intercept):
    X, y = problem()
    X = X.astype(dtype)
    ours = exact(loss=loss, C=C, fit_intercept=fit_intercept, tol=1e-9 if dtype == "float64" else 1e-5)
    ours.fit(KINDS[kind](X), y)
    coef, intercept = peers_weights(loss, X.astype(float), y, C=C, fit_intercept=fit_intercept)
    atol = 1e-6 if dtype == "float64" else 1e-3
    assert_allclose(ours.coef_, coef, atol=atol)
    assert_allclose(ours.intercept_, intercept, atol=atol)
    assert ours.coef_.dtype == ours.intercept_.dtype == ours.decision_function(X).dtype == dtype


def test_the_documented_tolerance_finds_LinearSVCs_coefficients():
    X, y = load_digits(return_X_y=True)
    X = X[:500] / np.linalg.norm(X[:500], axis=1, keepdims=True)
    ours, theirs = OneVsAllClassifier(tol=1e-7, feature_scaling=0).fit(X, y[:500]), peer().fit(X, y[:500])
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scaling", [0.1, 1.0, 20.0])
def test_intercept_scaling(loss, scaling):
    X, y = problem()
    ours = exact(loss=loss, intercept_scaling=scaling).fit(sp.csr_array(X), y)
    coef, intercept = peers_weights(loss, X, y, intercept_scaling=scaling)
    assert_allclose(ours.coef_, coef, atol=1e-6)
    assert_allclose(ours.intercept_, intercept, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_two_classes_are_one_problem(loss, kind):
    X, y = problem(n_classes=2)
    names = np.array(["no", "yes"])[y]
    ours, theirs = exact(loss=loss).fit(KINDS[kind](X), names), peer(loss).fit(X, names)
    assert ours.coef_.shape == (1, 7) and ours.intercept_.shape == (1,)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    assert_allclose(ours.intercept_, np.ravel(theirs.intercept_), atol=1e-6)
    assert ours.decision_function(X).shape == (len(y),)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-5)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    marginals = ours.predict_marginals(X)
    assert marginals.shape == (len(y), 2)
    assert_allclose(marginals.sum(axis=1), 1)


# -- weights --


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_sample_weight(loss, kind):
    X, y = problem()
    weight = np.random.default_rng(0).random(len(y)) * 3
    weight[::4] = 0
    ours = exact(loss=loss).fit(KINDS[kind](X), y, weight)
    coef, intercept = peers_weights(loss, X, y, weight)
    assert_allclose(ours.coef_, coef, atol=1e-6)
    assert_allclose(ours.intercept_, intercept, atol=1e-6)
    without = exact(loss=loss).fit(KINDS[kind](X)[weight > 0], y[weight > 0], weight[weight > 0])
    assert_allclose(ours.coef_, without.coef_, atol=1e-7)
    twice = exact(loss=loss, C=0.5).fit(KINDS[kind](X), y, 2 * weight)
    assert_allclose(ours.coef_, twice.coef_, atol=1e-7)


@pytest.mark.parametrize("class_weight", [{0: 3.0, 2: 0.1}, {1: 0.0}, "balanced"])
def test_class_weight_multiplies_the_positives(class_weight):
    X, y = problem()
    y = np.where(y == 3, 0, y)
    factors = class_weight
    if class_weight == "balanced":
        labels, counts = np.unique(y, return_counts=True)
        factors = dict(zip(labels, len(y) / (len(labels) * counts), strict=True))
    for loss in LOSSES:
        ours = exact(loss=loss, class_weight=class_weight).fit(X, y)
        coef, intercept = peers_weights(loss, X, y, class_weight=factors)
        assert_allclose(ours.coef_, coef, atol=1e-6)
        assert_allclose(ours.intercept_, intercept, atol=1e-6)
    assert_allclose(
        exact(class_weight=class_weight).fit(X, y).coef_, peer(class_weight=class_weight).fit(X, y).coef_, atol=1e-6
    )


@pytest.mark.parametrize("class_weight", [{0: 3.0}, {0: 0.5, 1: 2.0}, "balanced"])
def test_class_weight_of_two_classes_weighs_the_rows_of_both(class_weight):
    X, y = problem(n_classes=2)
    y[:40] = 0
    weight = np.random.default_rng(0).random(len(y))
    ours, theirs = (make(class_weight=class_weight).fit(X, y) for make in (exact, peer))
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    if class_weight != "balanced":  # which scikit-learn finds without sample weights
        ours, theirs = (make(class_weight=class_weight).fit(X, y, weight) for make in (exact, peer))
        assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


# -- several labels a row --


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_several_labels_a_row_are_problems_of_their_own(kind, loss):
    X, _ = problem()
    is_positive = np.random.default_rng(0).random((len(X), 6)) < 0.3
    is_positive[:20] = False  # rows without labels are negatives of all
    ours = exact(loss=loss).fit(KINDS[kind](X), is_positive.astype(int))
    theirs = OneVsRestClassifier(peer(loss)).fit(X, is_positive.astype(int))
    assert_allclose(ours.coef_, [model.coef_[0] for model in theirs.estimators_], atol=1e-6)
    assert_allclose(ours.intercept_, [np.ravel(model.intercept_)[0] for model in theirs.estimators_], atol=1e-6)
    assert_array_equal(ours.classes_, np.arange(6))


def test_forms_of_several_labels_are_the_same():
    X, _ = problem()
    is_positive = np.random.default_rng(0).random((len(X), 6)) < 0.3
    base = exact().fit(X, is_positive)
    lists = [np.flatnonzero(row).tolist() for row in is_positive]
    forms = [
        sp.csr_array(is_positive),
        sp.csc_matrix(is_positive.astype(float)),
        sp.csr_array(is_positive * np.random.default_rng(1).uniform(0.1, 5, is_positive.shape)),
        lists,
        [row * 2 for row in lists],
        [set(row) for row in lists],
        [[f"label {k}" for k in row] for row in lists],
    ]
    for y in forms:
        model = exact().fit(X, y)
        assert_array_equal(model.coef_, base.coef_)
        assert_array_equal(model.intercept_, base.intercept_)
    assert model.classes_.tolist() == [f"label {k}" for k in range(6)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("class_weight", [None, {"a": 2.0}, "balanced"])
def test_two_labels_with_rows_that_have_neither(kind, class_weight):
    """They are two problems, whose rows without labels are negatives of both."""
    X, y = problem(n_classes=3)
    lists = [[["a"], ["b"], []][code] for code in y]
    model = exact(class_weight=class_weight).fit(KINDS[kind](X), lists)
    assert model.coef_.shape == (2, 7) and model.decision_function(X).shape == (len(y), 2)
    if class_weight != "balanced":
        factors = class_weight and {0: 2.0}
        coef, _ = peers_weights("squared_hinge", X, y, class_weight=factors)
        assert_allclose(model.coef_, coef[:2], atol=1e-6)


def test_an_indicator_of_two_columns_is_two_problems():
    X, y = problem(n_classes=2)
    model = exact().fit(X, np.eye(2, dtype=int)[y])
    assert model.coef_.shape == (2, 7) and model.decision_function(X).shape == (len(y), 2)
    assert_allclose(model.coef_[0], -model.coef_[1], atol=1e-7)
    assert_allclose(model.coef_[1:], exact().fit(X, y).coef_, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_no_row_and_of_every_row(loss, kind):
    X, _ = problem()
    is_positive = np.random.default_rng(0).random((len(X), 4)) < 0.3
    is_positive[:, 0], is_positive[:, 2] = False, True
    model = exact(loss=loss, class_weight="balanced").fit(KINDS[kind](X), is_positive)
    decision = model.decision_function(X)
    assert (decision[:, 0] < 0).all() and (decision[:, 2] > 0).all()
    positive_weight = np.where(is_positive, _balanced(is_positive), 1.0)
    assert (gradient_norms(model, X, is_positive, loss=loss, weight=positive_weight) < 1e-7).all()


def _balanced(is_positive):
    counts = is_positive.sum(axis=0)
    present = counts > 0
    return np.where(present, counts.sum() / (np.count_nonzero(present) * np.maximum(counts, 1)), 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_goes_on_where_rounding_hides_what_the_objective_falls_by(kind):
    X, y = load_digits(return_X_y=True)
    X, y = X[:500] / np.linalg.norm(X[:500], axis=1, keepdims=True), y[:500]
    truth = exact().fit(X, y).coef_
    ours = exact(tol=1e-9).fit(KINDS[kind](X.astype(np.float32)), y)  # a tolerance that rounding keeps it from
    assert_allclose(ours.coef_, truth, atol=2e-5)
