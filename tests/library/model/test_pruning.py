"""Pruning of direct weights: a dense term becomes a sparse term."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.model import pruning
from fastsoftmax.model.model import Model

COMMON = {"batch_size": 32, "max_iter": 6, "random_state": 0, "n_negatives": 10}
TERMS = {
    "dense": {"direct": "dense"},
    "dense, low rank": {"direct": "dense", "hidden_size": 4},
    "sparse": {"direct": "sparse"},
    "sparse, low rank": {"direct": "sparse", "hidden_size": 4},
}


def toy(n_rows=640, n_classes=20, seed=0):
    """Each class has a feature of its own, beside noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % n_classes
    noise = sp.random_array((n_rows, 60), density=0.1, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(n_classes, format="csr")[y], noise])), y


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.csr_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_zeros_are_taken_out(terms, make_X, tmp_path):
    X, y = toy()
    X = make_X(X)
    model = flat_classifier(**COMMON, **terms, l1_alpha=3e-3, dtype="float64").fit(X, y)
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
    model = flat_classifier(**COMMON, **terms, l1_alpha=3e-3).fit(X, y).prune(1e-3)
    n_pairs = model.coef_.nnz
    if terms["direct"] == "dense":
        with pytest.raises(ValueError, match="direct must be 'sparse' to train a pruned model"):
            model.partial_fit(X, y)
        model.set_params(direct="sparse")
        if "hidden_size" in terms:
            before = model.predict_log_proba(X[:9])
            with pytest.raises(ValueError, match="it can predict, but not be trained further"):
                model.partial_fit(X, y)
            assert_array_equal(model.predict_log_proba(X[:9]), before)
            return
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
    assert model.sparse_matrix().has_canonical_format and model.pairs.class_ids.dtype == np.int32
    assert "W" not in model.state
    model.state["W"] = model.W**2
    pruning.prune(model, 1.0)
    assert_array_equal(model.sparse_matrix().toarray(), np.where(np.abs(W) > 1, W, 0))
    assert_array_equal(model.state["W"], model.W**2)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_nothing_is_left(terms):
    X, y = toy()
    model = flat_classifier(**COMMON, **terms, calibration_fraction="auto").fit(X, y).prune(1e9)
    assert model.coef_.nnz == 0
    logits = np.broadcast_to(model.intercept_, (len(y), 20))
    if "hidden_size" in terms:
        logits = logits + X @ model.embedding_ @ model.hidden_coef_.T
    assert_allclose(model.predict_log_proba(X), reference.log_softmax(logits, axis=1), rtol=1e-4, atol=1e-5)
    assert_array_equal(model.predict(X), logits.argmax(axis=1))


def test_errors():
    X, y = toy()
    with pytest.raises(ValueError, match="prune needs a direct term"):
        flat_classifier(**COMMON, direct=None).fit(X, y).prune()
    with pytest.raises(ValueError, match="threshold must be at least 0"):
        flat_classifier(**COMMON, direct="dense").fit(X, y).prune(-1.0)
