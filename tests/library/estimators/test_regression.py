"""SoftmaxRegression against scikit-learn's LogisticRegression, and against what must hold at an optimum."""

import time
import warnings

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fastsoftmax import SoftmaxRegression, linear_cross_entropy
from fastsoftmax.newton.loss import DenseProducts, RegressionLoss, SparseProducts

SOLVERS = ["lbfgs", "newton-cg"]
KINDS = {"dense": np.asarray, "csr": sp.csr_array}


def problem(n_rows=120, n_features=7, n_classes=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.6)
    y = (X @ rng.standard_normal((n_features, n_classes)) + rng.gumbel(size=(n_rows, n_classes))).argmax(1)
    y[:n_classes] = np.arange(n_classes)
    return X, y


def exact(**params):
    return SoftmaxRegression(**{"tol": 1e-10, "max_iter": 1000, "n_threads": 1} | params)


def peer(**params):
    return LogisticRegression(**{"tol": 1e-12, "max_iter": 100_000, "solver": "newton-cg"} | params)


# -- loss, gradient, Hessian --


def loss_of(X, y, weight, alpha, *, dtype=np.float64, has_bias=True, n_threads=1, product_dtype=None):
    n_classes = y.max() + 1
    X = X.astype(dtype)
    products = (SparseProducts if sp.issparse(X) else DenseProducts)(X, n_classes, n_threads)
    shape = X.shape[1] + 1, n_classes
    options = {"has_bias": has_bias, "keep": True, "product_dtype": product_dtype}
    return RegressionLoss(products, y, weight, alpha, shape, dtype, **options)


@covering(
    {
        "isa": ISAS,
        "is_weighted": [False, True],
        "n_classes": [2, 3, 17, 130],
        "kind": KINDS,
        "dtype": ["float32", "float64"],
    },
    strength=2,
)
def test_loss_gradient_and_hessian_product(isa, kind, n_classes, is_weighted, dtype):
    X, y = problem(150, 9, n_classes)
    rng = np.random.default_rng(1)
    weight = rng.random(len(y)) * (rng.random(len(y)) < 0.8) if is_weighted else np.ones(len(y))
    weight /= weight.sum()
    loss = loss_of(KINDS[kind](X), y, weight, 0.3, dtype=dtype)
    theta, v = rng.standard_normal((2, 10, n_classes)).astype(dtype)
    gradient, product = np.empty_like(theta), np.empty_like(theta)
    value = loss.value_and_gradient(theta, gradient)
    loss.hessian_product(v, product)
    loss.hessian_product(v, product)  # it leaves what it was made from as it was
    expected = reference.regression(X, y, weight, 0.3, theta, v)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert_allclose(value, expected[0], rtol=tolerance)
    assert_allclose(gradient, expected[1], rtol=tolerance, atol=tolerance)
    assert_allclose(product, expected[2], rtol=10 * tolerance, atol=tolerance)


def test_reference_against_differences():
    X, y = problem()
    rng = np.random.default_rng(0)
    weight, theta, v = rng.random(len(y)), *rng.standard_normal((2, 8, 5))
    _, gradient, product = reference.regression(X, y, weight, 0.3, theta, v)
    h = 1e-6
    ahead, behind = (reference.regression(X, y, weight, 0.3, theta + s * h * v, v) for s in (1, -1))
    assert_allclose((gradient * v).sum(), (ahead[0] - behind[0]) / (2 * h), rtol=1e-7)
    assert_allclose(product, (ahead[1] - behind[1]) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_add_up(kind, monkeypatch):
    """One chunk of rows gives the same as many, of which some are computed at once."""
    X, y = problem(1000)
    X, weight = KINDS[kind](X), np.full(1000, 1e-3)
    theta = np.random.default_rng(0).standard_normal((8, 5))
    results = []
    for values in (10**9, 100):
        monkeypatch.setattr("fastsoftmax.newton.loss.CHUNK_VALUES", values)
        monkeypatch.setattr("fastsoftmax.newton.loss.CHUNK_WORK", values)
        monkeypatch.setattr("fastsoftmax.newton.loss.SPARSE_ROWS", values)
        loss, gradient, product = loss_of(X, y, weight, 0.1, n_threads=3), np.empty((8, 5)), np.empty((8, 5))
        value = loss.value_and_gradient(theta, gradient)
        loss.hessian_product(theta, product)
        results.append((len(loss.products.chunks), value, gradient, product))
    assert results[0][0] < 10 < results[1][0] or kind == "csr"
    for one, many in zip(results[0][1:], results[1][1:], strict=True):
        assert_allclose(one, many, rtol=1e-12, atol=1e-14)


# -- the optimum --


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("C", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_optimum_is_scikit_learns(solver, kind, C, fit_intercept):
    X, y = problem()
    ours = exact(solver=solver, C=C, fit_intercept=fit_intercept).fit(KINDS[kind](X), y)
    theirs = peer(C=C, fit_intercept=fit_intercept).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert_allclose(ours.intercept_, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-5)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    assert_allclose(ours.decision_function(X).sum(axis=1), 0, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("load", [load_iris, load_digits, load_breast_cancer])
def test_optimum_on_real_data(solver, load):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours = exact(solver=solver, tol=1e-8, max_iter=3000).fit(X, y)
    theirs = peer(tol=1e-9).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    losses = [
        -model.predict_log_proba(X)[np.arange(len(y)), y].sum() + 0.5 * (model.coef_**2).sum()
        for model in (ours, theirs)
    ]
    assert_allclose(losses[0], losses[1], rtol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("C", [0.1, np.inf])
def test_two_classes_are_logistic_regression(solver, C):
    X, y = problem(n_classes=2)
    ours, theirs = exact(solver=solver, C=C).fit(X, y), peer(C=C).fit(X, y)
    assert ours.coef_.shape == (1, 7) and ours.intercept_.shape == (1,)
    assert ours.decision_function(X).shape == (len(y),)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_without_penalty(solver, kind):
    """The gradient is zero, and of all solutions this is the one that sums to zero over the classes."""
    X, y = problem(2000)
    model = exact(C=np.inf, solver=solver).fit(KINDS[kind](X), y)
    _, (_, dW, dbias) = linear_cross_entropy(X, model.coef_, y, model.intercept_, return_grad=True)
    assert max(abs(dW).max(), abs(dbias).max()) < 1e-8
    assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-12)
    assert_allclose(model.intercept_.sum(), 0, atol=1e-12)
    theirs = peer(C=np.inf).fit(X, y)
    assert_allclose(model.coef_, theirs.coef_ - theirs.coef_.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_separable_without_penalty_has_no_optimum(solver):
    X, y = np.eye(4), np.arange(4)
    with pytest.warns(ConvergenceWarning, match=r"not yet below tol=1e-12 after \d+ iterations: raise max_iter"):
        model = SoftmaxRegression(C=np.inf, tol=1e-12, max_iter=8, solver=solver).fit(X, y)
    assert np.isfinite(model.coef_).all() and model.score(X, y) == 1


# -- weights --


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_sample_weights_are_repetitions(solver, kind):
    X, y = problem()
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = exact(solver=solver).fit(KINDS[kind](X), y, sample_weight=weight)
    repeated = exact(solver=solver).fit(KINDS[kind](np.repeat(X, weight, axis=0)), np.repeat(y, weight))
    assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)
    assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-7)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 2: 0.1}])
def test_class_weight(class_weight):
    X, y = problem()
    y = np.where(y == 3, 0, y)
    ours, theirs = (make(class_weight=class_weight).fit(X, y) for make in (exact, peer))
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    names = np.array(["a", "b", "c", "d", "e"])
    if class_weight != "balanced":
        class_weight = {str(names[code]): weight for code, weight in class_weight.items()}
    assert_array_equal(exact(class_weight=class_weight).fit(X, names[y]).coef_, ours.coef_)


# -- how it gets there --


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_any_n_threads(solver, kind, dtype):
    X, y = problem(3000, 60, 40)
    X = KINDS[kind](X.astype(dtype))
    models = [SoftmaxRegression(solver=solver, n_threads=n, max_iter=5, tol=1e-3) for n in (1, 2, 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in models:
            model.fit(X, y)
    assert models[0].coef_.dtype == dtype
    for other in models[1:]:
        assert_array_equal(other.coef_, models[0].coef_)
        assert_array_equal(other.intercept_, models[0].intercept_)


def test_float32_steps_reach_the_float64_optimum(monkeypatch):
    """Only the steps are computed in float32, as where there are many parameters."""
    X, y = problem(400, 30, 8)
    X = sp.csr_array(X)
    before = exact().fit(X, y)
    monkeypatch.setattr("fastsoftmax.estimators.regression.LARGE", 1)
    assert_allclose(exact().fit(X, y).coef_, before.coef_, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_warm_start(kind):
    X, y = problem()
    X = KINDS[kind](X)
    model = exact(warm_start=True).fit(X, y)
    first = model.coef_.copy()
    assert model.n_iter_.shape == (1,) and model.n_iter_[0] > 1
    assert model.fit(X, y).n_iter_[0] <= 3
    assert_allclose(model.coef_, first, atol=1e-6)
    with pytest.raises(ValueError, match=r"warm_start=True needs .*\(5, 7\), but \(5, 6\)"):
        model.fit(X[:, :6], y)
    with pytest.raises(ValueError, match=r"\(5, 7\), but \(4, 7\)"):
        model.fit(X, np.minimum(y, 3))


@pytest.mark.parametrize("solver", SOLVERS)
def test_too_few_iterations_warn(solver):
    X, y = problem()
    with pytest.warns(ConvergenceWarning, match=r"tol=1e-08 after 2 iterations"):
        SoftmaxRegression(tol=1e-8, max_iter=2, solver=solver).fit(X, y)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_regression_that_cannot_step_warns(solver):
    Z = np.random.default_rng(0).normal(size=(60, 3))
    t = (Z[:, 0] > 0).astype(int)
    Z[3, 2] = 1e30
    with pytest.warns(ConvergenceWarning, match="or scale X"):
        SoftmaxRegression(solver=solver).fit(Z, t)


@pytest.mark.parametrize("solver", SOLVERS)
def test_memory_is_forecast(monkeypatch, solver):
    monkeypatch.setattr("fastsoftmax.runtime.memory.available", lambda: 10_000)
    X, y = problem(20, 100, 3)
    with pytest.raises(
        MemoryError, match=rf"training with solver='{solver}' needs .*\(100 features \+ 1\) x 3 classes"
    ):
        SoftmaxRegression(solver=solver).fit(X, y)


def test_interruption_leaves_what_was_fitted(monkeypatch):
    X, y = problem()
    model = exact().fit(X, y)
    coef = model.coef_.copy()

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(RegressionLoss, "value_and_gradient", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :3], y)
    assert_array_equal(model.coef_, coef)


def test_verbose_shows_iterations(capsys):
    exact(verbose=1).fit(*problem())
    assert "gradient" in capsys.readouterr().err


@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_and_empty_features(solver):
    X, y = problem()
    X = np.hstack([X, np.zeros((len(y), 1)), np.full((len(y), 1), 3.0)])
    for kind in KINDS.values():
        model = exact(solver=solver).fit(kind(X), y)
        assert_array_equal(model.coef_[:, -2], 0)
        assert_allclose(model.coef_[:, -1], 0, atol=1e-6)  # the intercept costs nothing


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e15, 1e160, 1e200])
def test_more_iterations_are_not_advised_where_they_would_not_help(scale, kind, solver):
    X = np.random.default_rng(0).normal(size=(300, 5))
    y = (X[:, 0] > 0) * 1
    message = r"not yet below tol=0.0001 after \d+ iterations, and rounding hides .* raise tol, .* or scale X"
    with pytest.warns(ConvergenceWarning, match=message) as warned:
        model = SoftmaxRegression(max_iter=10_000, solver=solver).fit(KINDS[kind](X * scale), y)
    assert len(warned) == 1 and np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_huge_C_is_as_if_there_were_no_penalty(kind, dtype, solver):
    X, y = problem()
    X = np.hstack([X, np.zeros((len(y), 1))])  # nothing but the penalty is there to scale this feature by
    X = KINDS[kind](X.astype(dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free = SoftmaxRegression(C=np.inf, solver=solver).fit(X, y)
        for C in (1e39, 1e76, 1e77, 1e150, 1e300, np.finfo(np.float64).max):
            model = SoftmaxRegression(C=C, solver=solver).fit(X, y)
            assert_allclose(model.coef_, free.coef_, rtol=1e-4, atol=1e-6)
            assert_array_equal(model.coef_[:, -1], 0)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"C": 0}, ValueError, "C must be above 0, got 0"),
        ({"C": np.nan}, ValueError, "C must be finite, got nan"),
        ({"tol": -1.0}, ValueError, "tol must be at least 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"solver": "saga"}, ValueError, "solver must be one of 'auto', 'lbfgs', 'newton-cg', got 'saga'"),
        ({"fit_intercept": 1}, TypeError, "fit_intercept must be True or False"),
        ({"class_weight": "even"}, ValueError, "class_weight must be None, 'balanced' or a dict"),
        ({"class_weight": {7: 1.0}}, ValueError, "class_weight holds 7, which is not among the 5 classes"),
        ({"class_weight": {0: -1.0}}, ValueError, "class_weight must be finite and not negative, got -1.0 for 0"),
        ({"n_threads": 0}, ValueError, "n_threads must be"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        SoftmaxRegression(**params).fit(*problem())


def test_weights_that_leave_nothing():
    X, y = problem()
    with pytest.raises(ValueError, match="sample_weight with class_weight must not be all zero"):
        SoftmaxRegression(class_weight=dict.fromkeys(range(5), 0.0)).fit(X, y)
    weight = np.where(y == 3, 0.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SoftmaxRegression(class_weight="balanced").fit(X, y, weight)
    others = SoftmaxRegression(class_weight="balanced").fit(X[y != 3], y[y != 3])
    assert_allclose(model.predict_proba(X)[:, 3], 0, atol=0.02)
    assert_array_equal(model.predict(X), others.predict(X))


def test_warm_start_needs_the_same_labels():
    X, y = problem()
    model = SoftmaxRegression(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start=True needs the classes of before"):
        model.fit(X, y + 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_classes", [2, 5])
def test_compressed(kind, n_classes):
    X, y = problem(n_classes=n_classes)
    model = SoftmaxRegression(warm_start=True).fit(KINDS[kind](X), y)
    small = model.compressed("float16")
    assert small.storage_ == "float16"
    assert_allclose(small.predict_proba(X), model.predict_proba(X), atol=0.01)
    assert_allclose(small.coef_, model.coef_, atol=0.01)
    with pytest.raises(TypeError, match="warm_start needs weights in full"):
        small.fit(X, y)


def test_few_results_of_threads_wait():
    from fastsoftmax.runtime.blocks import each

    begun = []
    results = each(lambda i: begun.append(i) or i, range(100), 2)
    assert next(results) == 0
    time.sleep(0.2)
    assert len(begun) < 10
    assert list(results) == list(range(1, 100))
