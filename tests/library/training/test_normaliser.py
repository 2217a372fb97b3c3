"""The running log-normaliser of training rows in sampled softmax."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier, of_mean
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from fastsoftmax.losses import NCE, SampledSoftmax
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD
from fastsoftmax.passes.candidates import Candidates, Estimate
from fastsoftmax.training.normaliser import RunningNormaliser
from fastsoftmax.training.planning import AUTO_SAMPLED_CLASSES, normaliser_rate

N_CLASSES = 30


def data():
    """Rows of the feature of their class and another one."""
    rng = np.random.default_rng(0)
    y, eye = rng.integers(0, N_CLASSES, 800), sp.eye_array(N_CLASSES, format="csr")
    return eye[y] + 0.5 * eye[rng.permutation(y)], y


def classifier(**params):
    defaults = {"loss": "sampled_softmax", "direct": None, "hidden_size": 12, "batch_size": 32, "random_state": 0}
    return flat_classifier(**defaults | params)


def assert_same_model(a, b):
    for name, value in a._model.arrays().items():
        assert_array_equal(value, b._model.arrays()[name], err_msg=name)


def test_it_is_a_mean_in_linear_space():
    normaliser, rows = RunningNormaliser(6, 0.25), np.array([4, 1])
    assert_array_equal(normaliser.update(rows, np.array([2.0, -3.0])), [2, -3])  # the first estimate is all there is
    moved = normaliser.update(rows[::-1], np.array([1.0, 5.0]))
    assert_allclose(moved, np.log([0.75 * np.exp(-3) + 0.25 * np.e, 0.75 * np.exp(2) + 0.25 * np.exp(5)]))
    assert_allclose(normaliser.log_z[[1, 4]], moved)
    assert np.isnan(normaliser.log_z[[0, 2, 3, 5]]).all()


def test_logits_that_no_exponential_holds():
    normaliser = RunningNormaliser(1, 0.5)
    for estimate in (1e4, 1e4, -1e4):
        moved = normaliser.update(np.array([0]), np.array([estimate]))
    assert_allclose(moved, 1e4 + np.log(0.5))


def problem(n_classes=40, n_rows=12, n_features=5):
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((n_rows, n_features)), rng.integers(0, n_classes, n_rows)
    arrays = {"W": rng.standard_normal((n_classes, n_features)), "bias": rng.standard_normal(n_classes)}
    class_ids = rng.integers(0, n_classes, 20)
    return X, target, arrays, class_ids, np.log(0.2 + rng.random(n_classes))[class_ids]


SCALE = np.linspace(0, 2, 12) / 12
LOG_Z = np.random.default_rng(1).normal(2, 1, 12)


@pytest.fixture(scope="module", params=[None, 0.7])
def held(request, numerical_gradient):
    """class_alpha, and the gradient of sum_i scale_i (exp(lse_i - log_z_i) - z_iy) and the penalty: log_z is held."""
    X, target, arrays, class_ids, log_expected = problem()
    class_alpha = request.param

    def surrogate(W, bias):
        z, loss = X @ W.T + bias, 0.0
        for i, y in enumerate(target):
            drawn = class_ids != y
            lse = logsumexp(np.append(z[i, class_ids[drawn]] - log_expected[drawn], z[i, y]))
            loss += SCALE[i] * (np.exp(lse - LOG_Z[i]) - z[i, y])
            if class_alpha:
                loss += SCALE[i] * class_alpha / 2 * (W[y] @ W[y])
        return loss

    return class_alpha, {name: numerical_gradient(lambda: surrogate(**arrays), a) for name, a in arrays.items()}


def test_the_step_is_along_the_gradient_with_log_z_held(isa, held):
    """log_z stands for the denominator."""
    (class_alpha, gradients), (X, target, arrays, class_ids, log_expected) = held, problem()

    class Fixed:
        def update(self, rows, lse):
            return LOG_Z[rows]

    model = Model(E=np.eye(X.shape[1]), V=arrays["W"].copy(), bias=arrays["bias"].copy())
    estimate = Estimate(Candidates(target, class_ids, log_expected), normaliser=Fixed())
    rule = SGD(class_alpha=class_alpha).rule(1.0)
    Runner(model, X, n_threads=2).step(np.arange(len(X)), target, SCALE, rule, estimate)
    for name, a in arrays.items():
        assert_allclose(a - (model.V if name == "W" else model.bias), gradients[name], rtol=1e-6, atol=1e-8)


def test_its_own_estimate_is_the_plain_step():
    X, target, arrays, class_ids, log_expected = problem()
    models = []
    for normaliser in (None, RunningNormaliser(len(X), 0.5)):
        model = Model(**{name: a.copy() for name, a in arrays.items()})
        estimate = Estimate(Candidates(target, class_ids, log_expected), normaliser=normaliser)
        Runner(model, X, n_threads=1).step(np.arange(len(X)), target, of_mean(len(X)), SGD().rule(1.0), estimate)
        models.append(model)
    assert_allclose(models[0].W, models[1].W, rtol=1e-12)


def test_auto_is_for_many_classes():
    assert normaliser_rate(SampledSoftmax(), AUTO_SAMPLED_CLASSES) == 0.5
    assert normaliser_rate(SampledSoftmax(), AUTO_SAMPLED_CLASSES - 1) == 1
    assert normaliser_rate(SampledSoftmax(normaliser_rate=0.3), 10) == 0.3
    assert normaliser_rate(NCE(), 10) == 1


def test_in_the_classifier():
    X, y = data()
    models = {
        (rate, n_threads): classifier(normaliser_rate=rate, n_threads=n_threads).fit(X, y)
        for rate, n_threads in ((1.0, 1), ("auto", 1), (0.5, 1), (0.5, 2), (0.5, 3))
    }
    assert_same_model(models[1.0, 1], models["auto", 1])  # few classes
    for n_threads in (2, 3):
        assert_same_model(models[0.5, 1], models[0.5, n_threads])
    assert (models[0.5, 1].hidden_coef_ != models[1.0, 1].hidden_coef_).any()
    assert models[0.5, 1].score(X, y) > 20 / N_CLASSES


def test_one_epoch_needs_none():
    X, y = data()
    one = [classifier(normaliser_rate=rate, max_iter=1).fit(X, y) for rate in (1.0, 0.5)]
    assert_same_model(*one)


@pytest.mark.parametrize("rate", [0, -0.5, 1.5, np.nan, "half", None])
def test_bad_rates(rate):
    X, y = data()
    with pytest.raises((ValueError, TypeError), match="normaliser_rate must be"):
        flat_classifier("sampled_softmax", normaliser_rate=rate).fit(X, y)
