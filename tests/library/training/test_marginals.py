"""predict_marginals: the probability of each label by itself."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from several_labels import N_CLASSES, make_data, small

from fastsoftmax.model.runners import runner_for
from fastsoftmax.training import marginals
from fastsoftmax.training.targets import SoftTargets


@pytest.mark.parametrize("objective", ["precision", "recall"])
@pytest.mark.parametrize("loss", ["auto", "softmax", "one_vs_all"])
def test_marginals_are_calibrated(objective, loss, data, test_rows):
    X, Y = test_rows
    terms = {"direct": "sparse", "hidden_size": 16}
    model = small(loss=loss, objective=objective, calibration_fraction=0.2, **terms).fit(*data)
    p, y = model.predict_marginals(X), Y.toarray()
    assert p.shape == y.shape and p.dtype == np.float32 and (p >= 0).all() and (p <= 1).all()
    for low, high in ((0.1, 0.4), (0.4, 0.7), (0.7, 1.0)):
        within = (p >= low) & (p < high)
        assert abs(p[within].mean() - y[within].mean()) < 0.12
    assert abs(p.sum() / y.sum() - 1) < 0.15


def test_a_threshold_keeps_the_likely_labels(ranked, test_rows):
    X = test_rows[0]
    p, kept = ranked.predict_marginals(X), ranked.predict_marginals(X, threshold=0.3)
    assert isinstance(kept, sp.csr_array) and kept.shape == p.shape
    assert_allclose(kept.toarray(), np.where(p >= 0.3, p, 0), rtol=1e-6)
    assert ranked.predict_marginals(X[:0], threshold=0.5).shape == (0, N_CLASSES)
    assert ranked.predict_marginals(X[:0]).shape == (0, N_CLASSES)
    for bad in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="threshold must be"):
            ranked.predict_marginals(X, threshold=bad)


def test_marginals_need_calibration(data):
    X, Y = data
    model = small(loss="decoupled_softmax", direct="dense", calibration_fraction=0).fit(X, Y)
    with pytest.raises(ValueError, match=r"calibrate\(X, y\)"):
        model.predict_marginals(X)
    W = model.coef_.copy()
    model.calibrate(*make_data(200, seed=2)).predict_marginals(X)
    assert_array_equal(model.coef_, W)  # no factor would mend a dense direct term
    assert model.calibration_ == {} and model.marginals_
    model = small(loss="one_vs_all", direct="dense", calibration_fraction=0).fit(X, Y)
    assert_allclose(model.predict_marginals(X), expit(model.decision_function(X)), rtol=1e-5)
    model = small(loss="decoupled_softmax", direct="sparse", calibration_fraction=0).fit(X, Y)
    assert model.marginals_ == {}
    assert model.calibrate(*make_data(200, seed=2)).marginals_
    model.predict_marginals(X)


def test_the_fit_is_a_logistic_regression(data, ranked, monkeypatch):
    """The likelihood of bins of negatives is nearly that of all of them, and is at its optimum."""
    X, Y = make_data(100, seed=3)
    target = SoftTargets(sp.csr_array(Y / Y.sum(axis=1)[:, None]))
    runner = runner_for(ranked._model, X.astype(np.float32), n_threads=1)
    numbers = marginals.fit(runner, target)
    z, y = ranked.decision_function(X).astype(np.float64), Y.toarray()

    def loss(numbers):
        p = marginals.of_logits(z.copy(), numbers)
        return -np.log(np.where(y, p, 1 - p)).sum()

    best = loss(numbers)
    for sign in (-1, 1):
        assert loss(numbers | {"offset": numbers["offset"] + 0.1 * sign}) > best
        assert loss(numbers | {"lse": numbers["lse"] + 0.1 * sign}) > best
    assert loss(numbers | {"slopes": [2 * slope for slope in numbers["slopes"]]}) > best
    monkeypatch.setattr(marginals, "CHUNK_LOGITS", 200)
    again = marginals.fit(runner, target)
    assert_allclose(again["slopes"], numbers["slopes"], rtol=1e-4)


def test_marginals_of_single_labels_by_one_vs_all(data):
    """Calibration scales the logits to be those of a softmax, so they are no log odds any more."""
    X, Y = data
    codes = Y.indices[Y.indptr[:-1]]
    model = small(loss="one_vs_all", direct="sparse", calibration_fraction=0.2).fit(X, codes)
    assert model.predict_marginals(X).sum(axis=1).mean() == pytest.approx(1.0, abs=0.2)


def test_further_training_forgets_the_marginals(data):
    X, Y = data
    terms = {"direct": "sparse", "hidden_size": 8, "objective": "recall"}
    model = small(**terms).fit(X, Y)
    assert model.marginals_
    assert model.partial_fit(X[:50], Y[:50]).marginals_ == {}
    with pytest.raises(ValueError, match=r"calibrate\(X, y\)"):
        model.predict_marginals(X)
    model = small(**terms).fit(X, Y)
    model.set_params(warm_start=True, calibration_fraction=0.0).fit(X, Y)
    assert model.marginals_ == {}


def test_a_row_like_no_other_has_no_extreme_marginals():
    """Where all rows are told apart, slopes are steep."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5, 3000)
    X = sp.csr_array(np.c_[np.eye(5)[a], np.zeros((3000, 1))])
    for objective in ("precision", "recall"):
        model = small(objective=objective).fit(X, [[int(k), int(k) + 5] for k in a])
        assert model.predict_marginals(sp.csr_array(np.eye(6)[[5]])).max() < 0.6
        assert_array_equal(model.predict_marginals(X[:100]).argmax(axis=1) % 5, a[:100])


def test_small_data_have_marginals_too():
    X, Y = make_data(200)
    assert small().fit(X, Y).marginals_
