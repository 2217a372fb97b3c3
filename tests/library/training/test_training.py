"""What SoftmaxClassifier learns: the same for any number of threads, in parts, and with other optimisers."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import metrics


def toy(n_rows=600, n_classes=30, seed=0):
    """Each class has a feature of its own, beside noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_rows)
    y[:n_classes] = np.arange(n_classes)
    noise = sp.random_array((n_rows, 20), density=0.2, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(n_classes, format="csr")[y], noise])), y


MODELS = {
    "full direct": {"loss": "softmax", "direct": "dense"},
    "full low rank": {"loss": "softmax", "direct": None, "hidden_size": 16},
    "full both": {"loss": "softmax", "direct": "dense", "hidden_size": 16},
    "sampled direct": {"loss": "sampled_softmax", "direct": "dense"},
    "sampled low rank": {"loss": "sampled_softmax", "direct": None, "hidden_size": 16},
    "sampled both": {"loss": "sampled_softmax", "direct": "dense", "hidden_size": 16},
}
COMMON = {"n_negatives": 10, "batch_size": 32, "random_state": 0, "n_threads": 1}


@pytest.mark.parametrize("optimizer", ["adagrad", "sgd"])
@pytest.mark.parametrize("make_X", [sp.csr_array, sp.csr_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_learns_what_can_be_learned(params, make_X, optimizer):
    X, y = toy()
    X_test, y_test = toy(seed=1)
    learning_rate = 0.3 if optimizer == "adagrad" else 3.0
    classifier = flat_classifier(**COMMON, **params, optimizer=optimizer, learning_rate=learning_rate, max_iter=30)
    assert classifier.fit(make_X(X), y) is classifier
    assert classifier.score(make_X(X_test), y_test) > 0.97
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0] / 2
    assert classifier.n_iter_ == len(classifier.loss_curve_) == 30


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_same_seed_same_weights_for_any_n_threads(isa, params, dtype):
    X, y = toy(150, 120)
    models = []
    for n_threads in (1, 2, 3):
        classifier = flat_classifier(**COMMON | params | {"n_threads": n_threads}, dtype=dtype, max_iter=1)
        models.append(classifier.fit(X, y))
    assert models[0].intercept_.dtype == dtype
    for other in models[1:]:
        assert other.loss_curve_ == models[0].loss_curve_
        for name, a in models[0]._model.arrays().items():
            assert_array_equal(a, other._model.arrays()[name], err_msg=name)


def test_other_seed_other_weights():
    X, y = toy()
    a, b = (flat_classifier(**COMMON | {"random_state": seed}, max_iter=1).fit(X, y).coef_ for seed in (0, 1))
    assert (a != b).any()


def test_partial_fit_goes_on_where_fit_stopped():
    X, y = toy()
    once = flat_classifier(**COMMON, schedule="constant", max_iter=3).fit(X, y)
    in_parts = flat_classifier(**COMMON, max_iter=1).partial_fit(X, y, classes=np.unique(y))
    in_parts.partial_fit(X, y).partial_fit(X, y)
    assert_array_equal(once.coef_, in_parts.coef_)
    assert once.loss_curve_ == in_parts.loss_curve_
    assert in_parts.n_iter_ == 3


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_partial_fit_with_another_optimizer_or_dtype(params):
    """The state that the new optimiser needs is made; the weights keep their dtype."""
    X, y = toy()
    classifier = flat_classifier(**COMMON, **params, optimizer="sgd", max_iter=1).fit(X, y)
    classifier.set_params(optimizer="adagrad", dtype="float64").partial_fit(X, y)
    assert classifier.intercept_.dtype == np.float32
    assert {a.dtype for a in classifier._model.arrays().values()} == {np.dtype(np.float32)}
    assert np.isfinite(classifier.intercept_).all()
    assert classifier.loss_curve_[-1] < 4


def test_the_reported_loss_is_the_loss(sparse_rows):
    """The steps are too small to change anything, so each epoch's loss is that of the model."""
    X, y = sparse_rows(1000, 30, 7)
    options = {"direct": "dense", "dtype": "float64", "optimizer": "sgd", "learning_rate": 1e-12, "max_iter": 3}
    model = flat_classifier(loss="softmax", gradient_threshold=0.0, random_state=0, **options).fit(X, y)
    assert_allclose(model.loss_curve_, metrics.log_loss(model.target_log_proba(X, y)), rtol=1e-9)
