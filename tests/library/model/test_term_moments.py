"""The moments of a model's terms over all classes, from which calibration finds its factors."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.model import term_moments
from fastsoftmax.training import calibration

N_ROWS, N_CLASSES = 60, 37


@pytest.fixture(params=[None, "sparse"])
def model_and_rows(request):
    rng = np.random.default_rng(0)
    X, y = sp.random_array((N_ROWS, 9), density=0.4, format="csr", rng=rng), np.resize(np.arange(N_CLASSES), N_ROWS)
    params = {
        "direct": request.param,
        "hidden_size": 3,
        "dtype": "float64",
        "calibration_fraction": 0,
        "random_state": 0,
    }
    model = SoftmaxClassifier(learning_rate=0.5, n_threads=2, **params).fit(X, y)
    return model, sp.csr_array(X), y


@pytest.mark.parametrize("block", [1, 500, 1 << 18])
def test_losses_and_derivatives(model_and_rows, block, monkeypatch):
    """The losses are those of the logits written out; blocks of one class hold nothing but the target sometimes."""
    monkeypatch.setattr(term_moments, "BLOCK", block)
    classifier, X, y = model_and_rows
    model = classifier._model
    names = [name for name in ("bias", "prior", "W", "V") if getattr(model, name) is not None]
    parts = {"bias": model.bias + np.zeros((N_ROWS, 1)), "V": (X @ model.E) @ model.V.T}
    if "W" in names:
        parts |= {"prior": model.prior + np.zeros((N_ROWS, 1)), "W": (X @ model.sparse_matrix().T).toarray()}
    terms = np.stack([parts[name] for name in names])
    chunk = term_moments.Chunk(classifier._runner(X), np.arange(N_ROWS), y, names)
    for factors in (np.linspace(0.3, 1.5, len(names)), np.full(len(names), 300.0)):  # exponentials underflow
        logits, rows = np.tensordot(factors, terms, 1), np.arange(N_ROWS)
        p = np.exp(log_softmax(logits, axis=1))
        d = terms - terms[:, rows, y][:, :, None]
        loss, gradient, hessian = chunk.loss(factors)
        mean = np.einsum("ik,aik->ia", p, d)
        assert_allclose(loss, -log_softmax(logits, axis=1)[rows, y], rtol=1e-9, atol=1e-13)
        assert_allclose(gradient, mean, rtol=1e-9, atol=1e-11)
        expected = np.einsum("ik,aik,bik->iab", p, d, d) - mean[:, :, None] * mean[:, None, :]
        assert_allclose(hessian, expected, rtol=1e-7, atol=1e-9)


def test_no_number_of_threads_changes_a_bit(model_and_rows):
    classifier, X, y = model_and_rows
    before = classifier._model.copy()
    found = []
    for n_threads in (1, 2, 5):
        classifier._model = before.copy()
        found.append(classifier.set_params(n_threads=n_threads).calibrate(X, y).calibration_)
    assert found[0] == found[1] == found[2]


def test_a_search_takes_few_passes_and_finds_the_minimum(model_and_rows):
    classifier, X, y = model_and_rows
    model, weight = classifier._model, np.full(N_ROWS, 1 / N_ROWS)
    names = [name for name in calibration.NAMES if getattr(model, name) is not None]
    terms, runner, passes = {name: getattr(model, name) for name in names}, classifier._runner(X), []

    def objective(values):
        passes.append(values)
        return calibration._low_rank_loss(runner, terms, values, y, weight, lambda n_rows: None)

    start, least = np.array([calibration.START[name] for name in names]), np.full(len(names), calibration.SMALLEST)
    values = calibration._newton(objective, start, least)
    assert len(passes) <= 8
    _, gradient, _ = objective(values)
    assert_array_equal(values >= least * (1 - 1e-9), True)
    inside = values > 2 * least
    assert_allclose(gradient[inside], 0, atol=2e-3)
    assert (gradient[~inside] > -2e-3).all()


def test_calibration_shows_its_progress(model_and_rows, capsys):
    classifier, X, y = model_and_rows
    classifier.set_params(verbose=1).calibrate(X, y)
    assert "calibrating" in capsys.readouterr().err
