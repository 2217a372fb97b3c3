"""SoftmaxRegression: both solvers, dense and sparse rows, against the optimum's conditions and against each other."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from fuzz import strategies as s
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

import fastsoftmax as fs

solvers = st.sampled_from(["lbfgs", "newton-cg"])


# Few iterations on random labels do not converge.
pytestmark = pytest.mark.filterwarnings("ignore")


@st.composite
def problems(draw, n_rows, kinds=s.moderate):
    """CSR rows, many or all of them without entries, and labels."""
    n, k, rng = draw(n_rows), draw(st.sampled_from([2, 3, 17, 60, 63])), draw(s.rngs)
    shape = n, draw(st.sampled_from([1, 5, 50]))
    X = s.raw_csr(rng, shape, draw(s.dtypes), draw(kinds), empty=draw(s.empties), width=draw(st.integers(0, 9)))
    return X, s.labels(rng, n, k), rng.random(n)


@examples(30)
@given(p=problems(st.sampled_from([2, 3, 40, 101, 300])), solver=solvers, n_threads=s.threads)
def test_fit_of_rows_without_entries(p, solver, n_threads):
    assert_fits(p, solver, n_threads)


@examples(4)
@given(p=problems(st.sampled_from([8191, 8192, 16384, 20000])), solver=solvers)
def test_fit_of_several_chunks_of_rows(p, solver):
    assert_fits(p, solver, 2)


def assert_fits(p, solver, n_threads):
    X, y, weight = p
    model = fs.SoftmaxRegression(solver=solver, n_threads=n_threads, max_iter=4).fit(X, y, weight)
    assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-4)
    objective, _ = objective_and_gradient(model, X, y, weight)
    at_zero, slope = objective_and_gradient(model, X, y, weight, scale=0)
    assert objective <= at_zero * (1 + 1e-5)
    if np.abs(slope).max() > 1e-2:  # zero is not the optimum
        assert objective < at_zero


def objective_and_gradient(model, X, y, weight, *, C=1.0, scale=1):
    """The objective of a fitted model, or of one with its weights times `scale`, and its gradient; both are divided by C."""
    k, coef, intercept = len(model.classes_), model.coef_, model.intercept_
    if k == 2:  # two vectors of half the length
        coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    theta = np.vstack([coef.T, intercept]) * scale
    weight, alpha = weight / weight.sum(), 1 / (C * weight.sum()) * (2 if k == 2 else 1)
    codes = np.searchsorted(model.classes_, y)
    return reference.regression(X.toarray(), codes, weight, alpha, theta, theta)[:2]


@examples(15)
@given(
    p=problems(st.sampled_from([40, 101, 300]), st.just(s.MODERATE[0])),
    solver=solvers,
    as_dense=st.booleans(),
    C=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_gradient_is_zero_at_the_solution(p, solver, as_dense, C):
    X, y, weight = sp.csr_array(p[0], dtype=np.float64), *p[1:]
    given = X.toarray() if as_dense else X
    model = fs.SoftmaxRegression(C=C, solver=solver, tol=1e-7, max_iter=1000).fit(given, y, weight)
    _, gradient = objective_and_gradient(model, X, y, weight, C=C)
    assert np.abs(gradient).max() < 1e-5


@examples(8)
@given(p=problems(st.sampled_from([40, 101, 300]), st.just(s.MODERATE[0])), solver=solvers, seed=st.integers(0, 99))
def test_neither_the_order_of_rows_nor_that_of_classes_matters(p, solver, seed):
    X, y, weight = sp.csr_array(p[0], dtype=np.float64), *p[1:]
    rng = np.random.default_rng(seed)
    rows, codes = rng.permutation(len(y)), rng.permutation(y.max() + 1)
    model = fs.SoftmaxRegression(solver=solver, tol=1e-7, max_iter=1000)
    base = model.fit(X, y, weight).predict_proba(X)
    columns = np.searchsorted(np.sort(codes[model.classes_]), codes[model.classes_])
    moved = model.fit(X[rows], codes[y[rows]], weight[rows]).predict_proba(X)
    np.testing.assert_allclose(moved[:, columns], base, atol=1e-4)


@examples(8)
@given(p=problems(st.sampled_from([40, 101, 300])), solver=solvers, n_threads=s.threads)
def test_threads_change_no_bit(p, solver, n_threads):
    one, several = (fs.SoftmaxRegression(solver=solver, n_threads=n, max_iter=5).fit(*p) for n in (1, n_threads))
    np.testing.assert_array_equal(one.coef_, several.coef_)
    np.testing.assert_array_equal(one.intercept_, several.intercept_)
