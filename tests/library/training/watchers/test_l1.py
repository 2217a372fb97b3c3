"""An L1 penalty on direct weights, and their pruning."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.model import pruning
from fastsoftmax.model.model import Model, Pattern
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.training.watchers import l1

COMMON = {"batch_size": 32, "max_iter": 6, "random_state": 0, "n_negatives": 10}


def toy(n_rows=640, n_classes=20, seed=0):
    """Each class has a feature of its own, beside noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % n_classes
    noise = sp.random_array((n_rows, 60), density=0.1, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(n_classes, format="csr")[y], noise])), y


@pytest.mark.parametrize("rule", [SGD(0.3), Adagrad(0.3, epsilon=1e-3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-6)])
@pytest.mark.parametrize("order", "CF")
def test_shrink_against_the_twin(rule, dtype, tolerance, order):
    rng = np.random.default_rng(0)
    w = np.asarray(rng.standard_normal((190, 200)).astype(dtype), order=order)  # more than a chunk
    state = np.asarray(rng.standard_normal(w.shape).astype(dtype) ** 2, order=order)
    expected = reference.shrink(rule, w.astype(np.float64), 0.05, state.astype(np.float64))
    l1.shrink(w, 0.05, state if rule.has_state else None, rule)
    assert_allclose(w, expected, atol=tolerance)
    assert 0 < np.count_nonzero(w == 0) < w.size


class Record:
    """Stands for what L1 is told of."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_shrinkage_is_added_up(is_sparse):
    """Done every so many steps and at the end of an epoch, with the sum of the rates; none once the term has learned."""
    model = Model(W=np.full(6, 100.0), pattern=Pattern(None, None) if is_sparse else None)
    rule = SGD(1.0)
    part = Record(direct_optimizer=rule, runner=Record(model=model), rate=lambda epochs: 1.0 if epochs < 2 else None)
    trainer = Record(parts=[part], steps_done=0, steps_per_epoch=40, position=0, order=np.arange(400))
    penalty, expected, pending = l1.L1(0.01), 100.0, 0.0
    for step in range(1, 121):
        rule.learning_rate, trainer.steps_done = 1 / step, step
        trainer.position = 400 if step % 40 == 0 else step % 40 * 10
        penalty.after_step(trainer, 10, 0.0)
        if step <= 80:
            pending += 0.01 / step * (10 if is_sparse else 1)
        if step % l1.EVERY == 0 or step % 40 == 0:
            expected, pending = expected - pending, 0.0
        assert_allclose(model.W, expected, rtol=1e-12)
    assert penalty.pending == 0


def test_it_ends_at_the_optimum_of_the_penalised_loss():
    """Where a weight is zero, the gradient of the loss is at most l1_alpha; elsewhere it is that, against the weight."""
    X, y = toy(320, 5)
    l1_alpha = 0.01
    params = {"direct": "dense", "optimizer": "sgd", "learning_rate": 1.0, "schedule": "linear", "dtype": "float64"}
    model = SoftmaxClassifier(**COMMON | params | {"batch_size": 320, "max_iter": 3000}, l1_alpha=l1_alpha).fit(X, y)
    _, (_, dW, _) = reference.linear_cross_entropy(X, model.coef_, y, model.intercept_)
    zero = model.coef_ == 0
    assert 0.3 < zero.mean() < 0.99
    assert np.abs(dW[zero]).max() <= 1.01 * l1_alpha
    assert_allclose(dW[~zero], -l1_alpha * np.sign(model.coef_[~zero]), rtol=0.05)


@pytest.mark.parametrize(
    ("terms", "penalties"),
    [
        ({"direct": "dense", "loss": "softmax"}, (0.0, 3e-3, 3e-2)),
        ({"direct": "dense", "loss": "sampled_softmax"}, (0.0, 3e-3, 3e-2)),
        ({"direct": "sparse"}, (0.0, 1e-4, 3e-4)),
        ({"direct": "sparse", "hidden_size": 4, "joint": True}, (0.0, 1e-4, 3e-4)),
    ],
)
def test_more_penalty_fewer_weights(terms, penalties):
    X, y = toy()
    n = [np.count_nonzero(SoftmaxClassifier(**COMMON, **terms, l1_alpha=a).fit(X, y)._model.W) for a in penalties]
    assert n[0] > 1.1 * n[1] > 1.2 * n[2] > 0


def test_same_for_any_n_threads():
    X, y = toy()
    models = [SoftmaxClassifier(**COMMON, direct="dense", l1_alpha=1e-3, n_threads=n).fit(X, y) for n in (1, 3)]
    assert_array_equal(models[0].coef_, models[1].coef_)


# -- pruning --

TERMS = {
    "dense": {"direct": "dense"},
    "dense, low rank": {"direct": "dense", "hidden_size": 4},
    "sparse": {"direct": "sparse"},
    "sparse, low rank": {"direct": "sparse", "hidden_size": 4},
}


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.csr_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_zeros_are_taken_out(terms, make_X, tmp_path):
    X, y = toy()
    X = make_X(X)
    model = SoftmaxClassifier(**COMMON, **terms, l1_alpha=3e-3, dtype="float64").fit(X, y)
    coef, before = sp.csc_array(model.coef_), model.predict_log_proba(X)
    coef.eliminate_zeros()
    assert model.prune() is model
    assert sp.issparse(model.coef_) and model.coef_.nnz == coef.nnz < 0.9 * len(np.unique(y)) * X.shape[1]
    assert_array_equal(model.coef_.toarray(), coef.toarray())
    assert_allclose(model.predict_log_proba(X), before, atol=1e-12)
    assert_array_equal(model.predict(X), model.classes_[before.argmax(axis=1)])
    model.save(tmp_path / "model")
    loaded = SoftmaxClassifier.load(tmp_path / "model")
    assert_array_equal(loaded.predict_log_proba(X), model.predict_log_proba(X))
    loaded.prune()
    assert loaded.coef_.nnz == coef.nnz


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_training_goes_on(terms):
    X, y = toy()
    model = SoftmaxClassifier(**COMMON, **terms, l1_alpha=3e-3).fit(X, y).prune(1e-3)
    n_pairs = model.coef_.nnz
    if terms["direct"] == "dense":
        with pytest.raises(ValueError, match="direct must be 'sparse' to train a pruned model"):
            model.partial_fit(X, y)
        model.set_params(direct="sparse")
        if "hidden_size" in terms:
            with pytest.raises(ValueError, match="joint must be True"):
                model.partial_fit(X, y)
            model.set_params(joint=True)
    before = model.score(X, y)
    for _ in range(3):
        model.partial_fit(X, y)
    assert model.score(X, y) >= before - 0.02
    assert model.coef_.nnz > n_pairs  # those of the rows are back
    assert model.n_iter_ == 9


@pytest.mark.parametrize("order", "CF")
def test_a_threshold_in_blocks(monkeypatch, order):
    monkeypatch.setattr(pruning, "BLOCK", 50)  # two features of 20 classes
    W = np.asarray(np.random.default_rng(0).standard_normal((20, 7)), order=order)
    W[3, 2] = 0.5
    model = Model(W=W.copy(order="K"), bias=np.zeros(20), state={"W": W.copy(order="K"), "bias": np.zeros(20)})
    pruning.prune(model, 0.5)
    assert_array_equal(model.sparse_matrix().toarray(), np.where(np.abs(W) > 0.5, W, 0))
    assert model.sparse_matrix().has_canonical_format and model.pattern.class_ids.dtype == np.int32
    assert "W" not in model.state
    model.state["W"] = model.W**2
    pruning.prune(model, 1.0)
    assert_array_equal(model.sparse_matrix().toarray(), np.where(np.abs(W) > 1, W, 0))
    assert_array_equal(model.state["W"], model.W**2)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_nothing_is_left(terms):
    X, y = toy()
    model = SoftmaxClassifier(**COMMON, **terms, calibration_fraction="auto").fit(X, y).prune(1e9)
    assert model.coef_.nnz == 0
    logits = np.broadcast_to(model.intercept_, (len(y), 20))
    if "hidden_size" in terms:
        logits = logits + X @ model.embedding_ @ model.hidden_coef_.T
    assert_allclose(model.predict_log_proba(X), reference.log_softmax(logits, axis=1), rtol=1e-4, atol=1e-5)
    assert_array_equal(model.predict(X), logits.argmax(axis=1))


def test_errors():
    X, y = toy()
    with pytest.raises(AttributeError, match="no such term"):
        SoftmaxClassifier(**COMMON, direct=None).fit(X, y).prune()
    with pytest.raises(ValueError, match="threshold must be at least 0"):
        SoftmaxClassifier(**COMMON, direct="dense").fit(X, y).prune(-1.0)
    with pytest.raises(ValueError, match="l1_alpha must be at least 0"):
        SoftmaxClassifier(**COMMON, direct="dense", l1_alpha=-1.0).fit(X, y)
    with pytest.raises(ValueError, match="l1_alpha must be 0 with direct=None"):
        SoftmaxClassifier(**COMMON, direct=None, l1_alpha=1.0).fit(X, y)


def test_nothing_to_penalise():
    X, y = np.eye(4), [0, 1, 2, 3]
    for params in ({"direct": None}, {"direct": "auto", "hidden_size": 2}):
        with pytest.raises(ValueError, match=r"l1_alpha must be 0 with direct=None, got 0.1"):
            SoftmaxClassifier(l1_alpha=0.1, **params).fit(X, y)
