"""Steps of the model against a float64 twin, and what SoftmaxClassifier learns."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier, _reference
from fastsoftmax._model import Model
from fastsoftmax._runner import Runner
from fastsoftmax._training import SampledSoftmax
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.samplers import LogUniform

TERMS = {"direct": (True, None), "low rank": (False, 11), "both": (True, 11)}
RULES = {
    "sgd": SGD(0.3),
    "sgd, alpha": SGD(0.3, alpha=0.05),
    "adagrad": Adagrad(0.3),
    "adagrad, alpha": Adagrad(0.3, alpha=0.05, epsilon=1e-3),
}
N_FEATURES = 40


def random_model(n_classes, terms, rule, *, dense_input, dtype, n_features=N_FEATURES):
    """A model in the midst of training: no array is zero."""
    rng = np.random.default_rng(1)
    has_direct, hidden_size = terms
    model = Model.initialise(
        n_classes, n_features, hidden_size, has_direct, optimizer=rule, dense_input=dense_input, rng=rng, dtype=dtype
    )
    for name, a in model.arrays().items():
        values = rng.standard_normal(a.shape) / 2
        a[...] = values**2 if name.startswith("state.") else values
    return model


def batch(is_sparse, sparse_X, dtype, n_classes, n_rows=30):
    X = sparse_X(n_rows, N_FEATURES, dtype)
    return (X if is_sparse else X.toarray()), np.random.default_rng(2).integers(0, n_classes, n_rows)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(("terms", "is_sparse"), [("direct", False), *((t, True) for t in TERMS)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-5)])
@pytest.mark.parametrize("n_classes", [50, 5003])
def test_step_against_reference(isa, sparse_X, terms, is_sparse, sampled, rule, dtype, tolerance, n_classes):
    """Two steps: the second sees what the first left in the parameters and in the optimiser's state."""
    model = random_model(n_classes, TERMS[terms], rule, dense_input=not is_sparse, dtype=dtype)
    X, target = batch(is_sparse, sparse_X, dtype, n_classes)
    loss = SampledSoftmax(LogUniform(n_classes), 40)
    runner = Runner(model, X, n_threads=1, working_memory=4 * 30 * 512 * 3)
    for rows in (np.arange(20), np.array([25, 3, 29, 8])):
        draws, candidates, columns = {}, {}, target[rows]
        if sampled:
            class_ids, log_expected_counts = loss.sampler.draw(40, np.random.default_rng(3))
            draws = {"class_ids": class_ids, "log_expected_counts": log_expected_counts}
            candidates, columns = loss.candidates(target[rows], np.random.default_rng(3))
        expected_loss, expected = _reference.model_step(model.arrays(), X[rows], target[rows], rule, **draws)
        assert_allclose(runner.step(rows, columns, rule, **candidates), expected_loss, rtol=tolerance)
        for name, a in model.arrays().items():
            assert_allclose(a, expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("terms", TERMS)
def test_a_weight_counts_as_so_many_rows(sparse_X, terms):
    X, target = batch(True, sparse_X, np.float64, 50)
    rows, weight = np.array([4, 7, 9]), np.array([1.0, 3.0, 0.0])
    repeated = np.array([4, 7, 7, 7])
    models, losses = [], []
    for these, weights in ((rows, weight * 3 / 4), (repeated, 1.0)):
        models.append(random_model(50, TERMS[terms], RULES["sgd"], dense_input=False, dtype=np.float64))
        runner = Runner(models[-1], X, n_threads=1)
        losses.append(runner.step(these, target[these], RULES["sgd"], weight=weights))
    assert_allclose(losses[0], losses[1], rtol=1e-12)
    for a, b in zip(models[0].arrays().values(), models[1].arrays().values(), strict=True):
        assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_step_on_more_features_than_a_cache_holds(isa, sparse_X):
    """The tiles of a direct term are packed and updated in several parts."""
    rule, X = RULES["adagrad, alpha"], sparse_X(200, 900, n_entries=30)
    target = np.random.default_rng(2).integers(0, 2000, 200)
    model = random_model(2000, TERMS["direct"], rule, dense_input=False, dtype=np.float64, n_features=900)
    expected_loss, expected = _reference.model_step(model.arrays(), X, target, rule)
    assert_allclose(Runner(model, X, n_threads=2).step(np.arange(200), target, rule), expected_loss, rtol=1e-11)
    for name, a in model.arrays().items():
        assert_allclose(a, expected[name], rtol=1e-11, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("working_memory", [0, 3 * 30 * 512 * 8, 1 << 28])
@pytest.mark.parametrize("terms", TERMS)
def test_the_same_step_with_any_working_memory(sparse_X, terms, working_memory):
    X, target = batch(True, sparse_X, np.float64, 5003)
    models = []
    for memory in (1 << 28, working_memory):
        models.append(random_model(5003, TERMS[terms], RULES["adagrad"], dense_input=False, dtype=np.float64))
        Runner(models[-1], X, n_threads=2, working_memory=memory).step(np.arange(30), target, RULES["adagrad"])
    for a, b in zip(models[0].arrays().values(), models[1].arrays().values(), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)


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
    classifier = SoftmaxClassifier(**COMMON, **params, optimizer=optimizer, learning_rate=learning_rate, max_iter=30)
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
        classifier = SoftmaxClassifier(**COMMON | params | {"n_threads": n_threads}, dtype=dtype, max_iter=1)
        models.append(classifier.fit(X, y))
    assert models[0].intercept_.dtype == dtype
    for other in models[1:]:
        assert other.loss_curve_ == models[0].loss_curve_
        for name, a in models[0]._model.arrays().items():
            assert_array_equal(a, other._model.arrays()[name], err_msg=name)


def test_other_seed_other_weights():
    X, y = toy()
    a, b = (SoftmaxClassifier(**COMMON | {"random_state": seed}, max_iter=1).fit(X, y).coef_ for seed in (0, 1))
    assert (a != b).any()


def test_partial_fit_goes_on_where_fit_stopped():
    X, y = toy()
    once = SoftmaxClassifier(**COMMON, schedule="constant", max_iter=3).fit(X, y)
    in_parts = SoftmaxClassifier(**COMMON, max_iter=1).partial_fit(X, y, classes=np.unique(y))
    in_parts.partial_fit(X, y).partial_fit(X, y)
    assert_array_equal(once.coef_, in_parts.coef_)
    assert once.loss_curve_ == in_parts.loss_curve_
    assert in_parts.n_iter_ == 3


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_partial_fit_with_another_optimizer_or_dtype(params):
    """The state that the new optimiser needs is made; the weights keep their dtype."""
    X, y = toy()
    classifier = SoftmaxClassifier(**COMMON, **params, optimizer="sgd", max_iter=1).fit(X, y)
    classifier.set_params(optimizer="adagrad", dtype="float64").partial_fit(X, y)
    assert classifier.intercept_.dtype == np.float32
    assert {a.dtype for a in classifier._model.arrays().values()} == {np.dtype(np.float32)}
    assert np.isfinite(classifier.intercept_).all()
    assert classifier.loss_curve_[-1] < 4


def test_early_stopping_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 30)), rng.integers(0, 5, 300)  # nothing to learn but by heart
    classifier = SoftmaxClassifier(
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=3,
        max_iter=50,
        batch_size=16,
        learning_rate=0.1,
        schedule="constant",
        random_state=0,
    ).fit(X, y)
    curve = classifier.validation_curve_
    best = int(np.argmin(curve))
    assert len(curve) == classifier.n_iter_ == best + 4 < 50
    same_epochs = SoftmaxClassifier(**classifier.get_params() | {"max_iter": best + 1}).fit(X, y)
    assert_array_equal(classifier.coef_, same_epochs.coef_)
