"""Training that starts at an earlier model, or at a given embedding."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier

COMMON = {"batch_size": 32, "random_state": 0, "calibration_fraction": 0, "n_negatives": 5}
TERMS = {
    "dense": {"direct": "dense"},
    "low rank": {"direct": None, "hidden_size": 4},
    "sparse": {"direct": "sparse"},
    "side by side": {"direct": "sparse", "hidden_size": 4},
    "sampled": {"direct": None, "hidden_size": 4, "loss": "sampled_softmax"},
}


def toy(n_rows=320, n_classes=20, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % n_classes
    noise = sp.random_array((n_rows, 30), density=0.1, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(n_classes, format="csr")[y], noise])), y


# -- warm start --


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_goes_on(terms):
    X, y = toy()
    model = flat_classifier(**COMMON, **terms, warm_start=True, max_iter=3).fit(X, y)
    first = model._model.copy()
    model.set_params(max_iter=2).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 5
    assert model.loss_curve_[3] < model.loss_curve_[2]
    cold = flat_classifier(**COMMON, **terms, max_iter=2).fit(X, y)
    assert model.loss_curve_[4] < cold.loss_curve_[1]
    assert (model.intercept_ != first.bias).any() or terms == {"direct": "sparse"}
    for name, a in first.state.items():
        assert (model._model.state[name] >= a).all(), name
    fresh = model.set_params(warm_start=False).fit(X, y)
    assert_array_equal(fresh.intercept_, cold.intercept_)


def test_as_one_training_where_the_rate_stays():
    """If the order of rows is drawn anew, a warm start is the same as one longer training."""
    X, y = toy()
    params = COMMON | {"direct": "dense", "schedule": "constant", "random_state": np.random.default_rng(3)}
    parts = flat_classifier(**params, warm_start=True, max_iter=2).fit(X, y)
    parts.set_params(max_iter=1).fit(X, y)
    whole = flat_classifier(**params | {"random_state": np.random.default_rng(3)}, max_iter=3).fit(X, y)
    assert_array_equal(parts.coef_, whole.coef_)
    assert parts.loss_curve_ == whole.loss_curve_


def test_loaded_models_go_on(tmp_path):
    X, y = toy()
    flat_classifier(**COMMON, direct="dense", warm_start=True, max_iter=3).fit(X, y).save(tmp_path / "model")
    model = SoftmaxClassifier.load(tmp_path / "model").fit(X, y)
    assert model.n_iter_ == 6 and model.loss_curve_[3] < model.loss_curve_[2]


@pytest.mark.parametrize(
    ("params", "change_X", "change_y", "message"),
    [
        ({}, lambda X: X[:, 1:], lambda y: y, "same features: X has 49, the model so far 50"),
        (
            {},
            lambda X: X,
            lambda y: np.where(y == 3, 33, y),
            r"y has \[33\] that the model so far has not, and lacks \[3\]",
        ),
        ({}, lambda X: X, lambda y: np.where(y == 3, 4, y), r"y has \[\] that .* lacks \[3\]"),
        ({"dtype": "float64"}, lambda X: X, lambda y: y, "same dtype: float32 so far, got float64"),
        ({"hidden_size": 3}, lambda X: X, lambda y: y, "hidden_size is None so far, got 3"),
        ({"direct": "sparse"}, lambda X: X, lambda y: y, "direct is 'dense' so far, got 'sparse'"),
    ],
)
def test_another_problem(params, change_X, change_y, message):
    X, y = toy()
    model = flat_classifier(**COMMON, direct="dense", warm_start=True, max_iter=1).fit(X, y)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(change_X(X), change_y(y))
    assert_array_equal(model.coef_, before)


def test_a_model_that_is_there_needs_no_further_memory(monkeypatch):
    X, y = toy()
    model = flat_classifier(**COMMON, direct="dense", warm_start=True, max_iter=1, working_memory=0).fit(X, y)
    monkeypatch.setattr(
        "fastsoftmax.runtime.memory.available", lambda: 20_000
    )  # rows and counts take 16,360, the model 8,160
    assert model.fit(X, y).n_iter_ == 2
    with pytest.raises(MemoryError, match="early stopping's copy"):
        model.set_params(early_stopping=True).fit(X, y)


def test_no_start_beside_a_model():
    X, y = toy()
    model = flat_classifier(**COMMON, direct=None, hidden_size=2, warm_start=True, max_iter=1)
    model.fit(X, y, embedding_init=np.ones((50, 2)))
    with pytest.raises(ValueError, match="embedding_init cannot be given where warm_start goes on"):
        model.fit(X, y, embedding_init=np.ones((50, 2)))


@pytest.mark.parametrize(("name", "value"), [("hidden_size", 4), ("direct", "sparse")])
def test_partial_fit_keeps_the_terms(name, value):
    X, y = toy()
    model = flat_classifier(**COMMON, direct=None, hidden_size=8, max_iter=1).fit(X, y).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"{name} must stay as it was in the first training"):
        model.partial_fit(X, y)


# -- pretrained embeddings --


@pytest.mark.parametrize("terms", [TERMS["low rank"], TERMS["side by side"], TERMS["sampled"]])
@pytest.mark.parametrize("freeze", [False, True])
def test_embedding(terms, freeze):
    X, y = toy()
    E = np.random.default_rng(0).standard_normal((50, 4))
    params = COMMON | terms | {"freeze_embedding": freeze, "learning_rate": 0.3, "max_iter": 20}
    model = flat_classifier(**params).fit(X, y, embedding_init=E)
    assert model.hidden_coef_.any()
    if freeze:
        assert_array_equal(model.embedding_, E.astype(np.float32))
    else:
        assert (model.embedding_ != E.astype(np.float32)).any()
        one_step = flat_classifier(**params | {"max_iter": 1, "learning_rate": 1e-6}).fit(X, y, embedding_init=E)
        assert_allclose(one_step.embedding_, E, atol=1e-3)


def test_its_width_is_hidden_size():
    X, y = toy()
    E = np.ones((50, 7))
    assert flat_classifier(**COMMON, max_iter=1).fit(X, y, embedding_init=E).hidden_size_ == 7
    with pytest.raises(ValueError, match="hidden_size must be 'auto' or the width of embedding_init, 7, got 8"):
        flat_classifier(**COMMON, hidden_size=8).fit(X, y, embedding_init=E)
    with pytest.raises(ValueError, match="got None"):
        flat_classifier(**COMMON, hidden_size=None).fit(X, y, embedding_init=E)
    with pytest.raises(
        ValueError, match=r"embedding_init must have shape \(50, hidden_size\), a row a feature, got \(49, 7\)"
    ):
        flat_classifier(**COMMON).fit(X, y, embedding_init=E[1:])
    with pytest.raises(ValueError, match=r"embedding_init must be finite in float32, got 1e\+300 at position \(1, 2\)"):
        E[1, 2] = 1e300
        flat_classifier(**COMMON).fit(X, y, embedding_init=E)


def test_of_the_first_features_alone():
    X, y = toy()
    params = COMMON | {"direct": "sparse", "hidden_size": 4, "n_hidden_features": 20, "freeze_embedding": True}
    E = np.ones((20, 4))
    assert_array_equal(flat_classifier(**params, max_iter=1).fit(X, y, embedding_init=E).embedding_, E)


# -- rows to judge by --


def test_warm_start_goes_on_with_the_width_of_a_given_embedding():
    X, y = toy()
    E = np.random.default_rng(0).normal(size=(50, 6))
    model = flat_classifier(**COMMON, direct=None, warm_start=True, max_iter=1).fit(X, y, embedding_init=E)
    assert model.fit(X, y).embedding_.shape == (50, 6)
