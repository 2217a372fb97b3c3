"""How OneVsAllClassifier solves its problems: in blocks, in any number of threads, at all scales, until it is interrupted."""

import os
import signal
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from one_vs_all_problems import KINDS, LOSSES, dense, exact, gradient_norms, problem
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax import OneVsAllClassifier
from fastsoftmax.newton import one_vs_all

# -- blocks --


@pytest.mark.parametrize("n_classes", [2, 3, 16, 17, 64, 65, 130])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_any_number_of_classes(n_classes, kind, loss):
    X, y = problem(200, 9, n_classes)
    is_positive = y[:, None] == np.arange(n_classes)
    for n_threads in (1, 3):
        model = exact(loss=loss, tol=1e-8, n_threads=n_threads).fit(KINDS[kind](X), y)
        expected = is_positive if n_classes > 2 else is_positive[:, 1:]
        assert (gradient_norms(model, X, expected, loss=loss) < 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("min_weight", [0.0, 0.05])
def test_same_bits_for_any_n_threads(kind, dtype, loss, min_weight):
    X, y = problem(300, 40, 150)
    X = KINDS[kind](X.astype(dtype))
    models = [OneVsAllClassifier(loss, n_threads=n, min_weight=min_weight).fit(X, y) for n in (1, 2, 3)]
    for other in models[1:]:
        assert_array_equal(dense(other.coef_), dense(models[0].coef_))
        assert_array_equal(other.intercept_, models[0].intercept_)
        assert other.n_iter_ == models[0].n_iter_


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_neighbours_change_no_bit(kind, loss):
    """Neither easy nor hard ones, nor few or many, and in no order."""
    X, _ = problem(300, 40)
    rng = np.random.default_rng(0)
    is_positive = rng.random((300, 150)) < rng.uniform(0.01, 0.6, 150)
    base = OneVsAllClassifier(loss).fit(KINDS[kind](X), is_positive)
    order = rng.permutation(150)
    moved = OneVsAllClassifier(loss).fit(KINDS[kind](X), is_positive[:, order])
    assert_array_equal(moved.coef_, base.coef_[order])
    assert_array_equal(moved.intercept_, base.intercept_[order])
    for n in (3, 16, 17, 64, 65):
        assert_array_equal(OneVsAllClassifier(loss).fit(KINDS[kind](X), is_positive[:, :n]).coef_, base.coef_[:n])
    is_positive[:, 1:] = rng.random((300, 149)) < 0.1
    assert_array_equal(OneVsAllClassifier(loss).fit(KINDS[kind](X), is_positive).coef_[0], base.coef_[0])


# -- features and extremes --


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("feature_scaling", [0, 0.25, 1, "auto"])
def test_features_that_never_occur_and_rows_without_features(kind, feature_scaling):
    X, y = problem()
    X[:, 2] = 0
    X[::5] = 0
    model = exact(feature_scaling=feature_scaling).fit(KINDS[kind](X), y)
    assert_array_equal(model.coef_[:, 2], 0)
    assert np.isfinite(model.coef_).all()
    assert_allclose(model.decision_function(KINDS[kind](X))[0], model.intercept_)


@pytest.mark.parametrize("kind", KINDS)
def test_no_feature_occurs(kind):
    X, y = np.zeros((40, 3)), np.arange(40) % 4
    model = exact(feature_scaling=1).fit(KINDS[kind](X), y)
    assert_array_equal(model.coef_, 0)
    assert (model.intercept_ < 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("power", [0.25, 1])
def test_feature_scaling_is_that_of_scaled_features(kind, power):
    """Features that occur get the scale of the median one."""
    X, y = problem()
    X *= 10.0 ** np.arange(-3, 4)
    rms = np.sqrt((X**2).mean(axis=0))
    scales = (rms / np.median(rms)) ** -power
    ours = exact(feature_scaling=power).fit(KINDS[kind](X), y)
    theirs = exact().fit(KINDS[kind](X * scales), y)
    assert_allclose(ours.coef_ / scales, theirs.coef_, rtol=1e-5, atol=1e-8)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-7)


def test_what_auto_stands_for():
    X, y = problem()
    X *= 10.0 ** np.arange(-3, 4)
    for kind, power in (("dense", 0), ("csr", 0.25)):
        auto, given = (OneVsAllClassifier(feature_scaling=power).fit(KINDS[kind](X), y) for power in ("auto", power))
        assert_array_equal(auto.coef_, given.coef_)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("C", [1e-19, 1e-6, 1e6])
def test_tiny_and_huge_C(loss, kind, dtype, C):
    X, y = problem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if dtype == "float32" else "error", ConvergenceWarning)
        model = OneVsAllClassifier(loss, C, feature_scaling=0, max_iter=1000, tol=1e-4).fit(
            KINDS[kind](X.astype(dtype)), y
        )
    norms = gradient_norms(model, X, y[:, None] == np.arange(5), loss=loss, C=C)
    assert (norms < (2e-4 if dtype == "float64" else 1e-2)).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e12, 1e17])
@pytest.mark.parametrize("feature_scaling", [0, 1])
def test_features_near_the_ends_of_float32_are_solved_or_warned_of(loss, kind, scale, feature_scaling):
    X, y = problem()
    X32 = (X * scale).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = OneVsAllClassifier(loss, feature_scaling=feature_scaling, tol=1e-3).fit(KINDS[kind](X32), y)
    assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
    if feature_scaling == 0 and not caught:
        norms = gradient_norms(model, X32, y[:, None] == np.arange(5), loss=loss)
        assert (norms < 1e-2).all()
    assert {warning.category for warning in caught} <= {ConvergenceWarning}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e25), ("float64", 1e200)])
@pytest.mark.parametrize("feature_scaling", [0, 0.25])
def test_gradients_that_overflow_are_an_error(kind, dtype, scale, feature_scaling):
    X, y = problem(n_classes=130)
    X = KINDS[kind]((X * scale).astype(dtype))
    for n_threads in (1, 2):
        with pytest.raises(ValueError, match=f"X has values so near the ends of {dtype} that gradients overflow"):
            OneVsAllClassifier(feature_scaling=feature_scaling, n_threads=n_threads).fit(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_product_of_C_and_weights_matters(kind):
    """To the bit for powers of two."""
    X, y = problem()
    weight = np.random.default_rng(0).random(len(y))
    base = OneVsAllClassifier(C=1.0).fit(KINDS[kind](X), y, weight)
    for scale in (2.0**-300, 0.25, 2.0**300):
        other = OneVsAllClassifier(C=1 / scale).fit(KINDS[kind](X), y, weight * scale)
        assert_array_equal(other.coef_, base.coef_)


def test_too_few_iterations_warn():
    X, y = problem()
    with pytest.warns(
        ConvergenceWarning, match=r"5 labels are not yet solved to tol=1e-09 after 1 iterations"
    ) as caught:
        model = exact(max_iter=1).fit(X, y)
    assert caught[0].filename == __file__
    assert model.n_iter_ == 1 and np.isfinite(model.coef_).all()


def test_more_iterations_change_solved_labels_no_more():
    X, y = problem()
    base = OneVsAllClassifier().fit(X, y)
    assert 0 < base.n_iter_ < 20
    assert_array_equal(OneVsAllClassifier(max_iter=1000).fit(X, y).coef_, base.coef_)


# -- interruptions, memory, progress --


def test_interruption_leaves_what_was_fitted(monkeypatch):
    X, y = problem()
    model = exact().fit(X, y)
    coef = model.coef_.copy()

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(one_vs_all._Block, "_find_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :3], y)
    assert_array_equal(model.coef_, coef)
    assert model.n_features_in_ == 7


def test_ctrl_c_with_two_threads(monkeypatch):
    """The blocks that run end after the step they are at, and none of those that wait begins."""
    X, y = problem(700, 20, 640)
    model = OneVsAllClassifier(n_threads=2).fit(X[:, :7], y % 5)
    coef, begun, steps = model.coef_.copy(), [], []
    found = one_vs_all._Block._find_step

    def find_step(block, active):
        if block not in begun:
            begun.append(block)
        if len(steps) == 1:
            time.sleep(0.1)  # until the main thread waits for results
            os.kill(os.getpid(), signal.SIGINT)
        steps.append(block)
        while not block.cancelled.is_set():
            time.sleep(0.01)
        return found(block, active)

    monkeypatch.setattr(one_vs_all._Block, "_find_step", find_step)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert len(begun) == len(steps) == 2
    assert_array_equal(model.coef_, coef)
    assert_array_equal(model.classes_, np.arange(5))


def test_memory_is_forecast(monkeypatch):
    X, y = problem(20, 100, 3)
    monkeypatch.setattr("fastsoftmax.runtime.memory.available", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"training needs .*3 labels x 100 features: 2,400 bytes; 1 blocks of labels"):
        OneVsAllClassifier().fit(X, y)


def test_verbose_shows_labels(capsys):
    OneVsAllClassifier(verbose=1).fit(*problem(n_classes=70))
    shown = capsys.readouterr()
    assert "solving" in shown.err and "70" in shown.err and not shown.out
    OneVsAllClassifier().fit(*problem())
    assert not capsys.readouterr().err
