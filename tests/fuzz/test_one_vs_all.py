"""OneVsAllClassifier: dense and sparse rows of all types and layouts, against the objective and against itself."""

import numpy as np
import pytest
import reference
from fuzz import strategies as s
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

import fastsoftmax as fs

losses = st.sampled_from(["squared_hinge", "logistic"])
shapes = st.tuples(st.sampled_from([2, 3, 40, 101, 300]), st.sampled_from([1, 5, 50]))
n_classes = st.sampled_from([2, 3, 16, 17, 60, 65, 130])

# Problems of wide values need more iterations than the default.
pytestmark = pytest.mark.filterwarnings("ignore")


@st.composite
def problems(draw, kinds=s.moderate):
    """X in any layout or format, an indicator of which some rows are empty, and weights of rows."""
    shape, k, rng = draw(shapes), draw(n_classes), draw(s.rngs)
    X = draw(s.rows(shape, draw(s.dtypes), kinds))
    is_positive = rng.random((shape[0], k)) < rng.choice([0.02, 0.3, 0.9])
    is_positive[0, 0] = True
    weight = rng.random(shape[0]) * (rng.random(shape[0]) < 0.8)
    weight[0] = 1
    return X, is_positive, weight


def objective_and_gradient(model, X, is_positive, weight, scale=1.0):
    """The objectives of the labels at a model's weights times `scale`, and their gradients."""
    with_ones = np.hstack([s.dense(X).astype(float), np.ones((X.shape[0], 1))])
    W = np.hstack([s.dense(model.coef_).astype(float), model.intercept_[:, None]]) * scale
    row_weights = model.C * np.broadcast_to(weight[:, None], is_positive.shape)
    return reference.one_vs_all(model.loss, with_ones, is_positive, row_weights, W)


@examples(40)
@given(p=problems(), loss=losses, n_threads=s.threads, C=st.sampled_from([0.01, 1.0, 100.0]))
def test_objective_falls(p, loss, n_threads, C):
    model = fs.OneVsAllClassifier(loss, C, feature_scaling=0, n_threads=n_threads).fit(*p)
    assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
    at_zero, slope = objective_and_gradient(model, *p, scale=0)
    found, _ = objective_and_gradient(model, *p)
    assert (found <= at_zero * (1 + 1e-5)).all()
    assert (found < at_zero)[np.abs(slope).max(axis=1) > 1e-2 * C].all()
    marginals = model.predict_marginals(p[0])
    assert (marginals >= 0).all() and (marginals <= 1).all()


@examples(20)
@given(p=problems(st.just(s.MODERATE[0])), loss=losses, C=st.sampled_from([0.01, 1.0, 30.0]), n_threads=s.threads)
def test_gradient_is_zero_at_the_solution(p, loss, C, n_threads):
    model = fs.OneVsAllClassifier(loss, C, tol=1e-4, max_iter=1000, feature_scaling=0, n_threads=n_threads).fit(*p)
    at_zero, found = (objective_and_gradient(model, *p, scale=scale)[1] for scale in (0, 1))
    assert (np.linalg.norm(found, axis=1) <= 3e-4 * np.linalg.norm(at_zero, axis=1)).all()


@examples(15)
@given(p=problems(st.just(s.MODERATE[0])), loss=losses)
def test_forms_of_X_agree(p, loss):
    X, is_positive, weight = p
    model = fs.OneVsAllClassifier(loss, tol=1e-4, max_iter=1000, feature_scaling=0)
    found = model.fit(X, is_positive, weight).decision_function(X)
    other = s.dense(X) if s.dense(X) is not X else X.copy()
    np.testing.assert_allclose(model.fit(other, is_positive, weight).decision_function(X), found, atol=0.02)


@examples(20)
@given(p=problems(), loss=losses, n_threads=s.threads, min_weight=st.sampled_from([0.0, 0.01, 1.0]))
def test_neither_threads_nor_neighbours_change_a_bit(p, loss, n_threads, min_weight):
    X, is_positive, weight = p
    order = np.random.default_rng(0).permutation(is_positive.shape[1])
    params = {"loss": loss, "min_weight": min_weight}
    one = fs.OneVsAllClassifier(**params, n_threads=1).fit(X, is_positive, weight)
    other = fs.OneVsAllClassifier(**params, n_threads=n_threads).fit(X, is_positive[:, order], weight)
    np.testing.assert_array_equal(s.dense(other.coef_), s.dense(one.coef_)[order])
    np.testing.assert_array_equal(other.intercept_, one.intercept_[order])


@examples(20)
@given(
    p=problems(),
    loss=losses,
    k=st.integers(1, 5),
    threshold=st.sampled_from([None, 0.01, 0.5, 0.99]),
    min_weight=st.sampled_from([0.0, 0.05]),
)
def test_topk_of_all_logits(p, loss, k, threshold, min_weight):
    X, is_positive, _ = p
    model = fs.OneVsAllClassifier(loss, min_weight=min_weight, max_iter=3).fit(X, is_positive)
    decision = model.decision_function(X).astype(float)
    k = min(k, decision.shape[1])
    labels, logits = model.predict_topk(X, k, threshold=threshold)
    expected = -np.sort(-decision, axis=1)[:, :k]
    if threshold is not None:
        marginals = -np.sort(-model.predict_marginals(X), axis=1)[:, :k]
        sure = np.abs(marginals - threshold) > 1e-5
        np.testing.assert_array_equal((labels >= 0)[sure], (marginals >= threshold)[sure])
        expected = np.where(labels >= 0, expected, -np.inf)
    tolerance = 1e-4 * max(1, np.abs(decision).max())
    np.testing.assert_allclose(logits, expected, atol=tolerance)
    rows, places = np.nonzero(labels >= 0)
    np.testing.assert_allclose(decision[rows, labels[rows, places]], logits[rows, places], atol=tolerance)
