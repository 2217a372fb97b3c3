"""Early stopping: the best epoch is kept, judged by rows held out or by rows that are given."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

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


def test_early_stopping_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 30)), rng.integers(0, 5, 300)  # nothing to learn but by heart
    classifier = flat_classifier(
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
    same_epochs = clone(classifier).set_params(max_iter=best + 1).fit(X, y)
    assert_array_equal(classifier.coef_, same_epochs.coef_)


def test_early_stopping_begins_anew():
    X, y = toy()
    params = COMMON | {"direct": "dense", "early_stopping": True, "warm_start": True, "max_iter": 3}
    model = flat_classifier(**params).fit(X, y)
    model.fit(X, y)
    assert len(model.validation_curve_) == 6
    assert model.validation_curve_[3] < model.validation_curve_[2]  # the same rows are held out, none was trained on


# -- rows to judge by --


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_given_rows_are_judged_by(terms):
    X, y = toy()
    X_val, y_val = toy(100, seed=1)
    weight = np.linspace(0, 2, 100)
    model = flat_classifier(**COMMON, **terms, early_stopping=True, max_iter=3)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    losses = -model.target_log_proba(X_val, y_val)
    assert_allclose(np.average(losses, weights=weight), min(model.validation_curve_), rtol=1e-5)
    all_rows = flat_classifier(**COMMON, **terms, max_iter=3).fit(X, y)
    assert model.loss_curve_[0] == all_rows.loss_curve_[0]  # none of X is held out


def test_they_calibrate_too():
    X, y = toy()
    X_val, y_val = toy(100, seed=1)
    params = COMMON | {"calibration_fraction": 0.1, "direct": "sparse", "early_stopping": True}
    model = flat_classifier(**params).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.calibration_


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        ({"y_val": None}, {}, "must be given both"),
        ({"X_val": None}, {}, "must be given both"),
        ({"X_val": None, "y_val": None, "sample_weight_val": np.ones(100)}, {}, "must be given both"),
        ({}, {"early_stopping": False}, "need early_stopping=True"),
        (
            {"y_val": np.full(100, 77)},
            {},
            r"y_val holds 77 at position 0, which is not among the 20 classes",
        ),
        ({"y_val": np.zeros(99, int)}, {}, "y_val has 99 labels, but X has 100 rows"),
        ({"X_val": np.zeros((100, 3))}, {}, "X_val has 3 features, but 50 are expected"),
        ({"X_val": np.zeros((0, 50)), "y_val": np.zeros(0, int)}, {}, r"0 sample\(s\)"),
        ({"sample_weight_val": np.zeros(100)}, {}, "sample_weight_val must not be all zero"),
    ],
)
def test_errors_of_given_rows(change, params, message):
    X_val, y_val = toy(100, seed=1)
    with pytest.raises(ValueError, match=message):
        flat_classifier(**COMMON | {"early_stopping": True} | params).fit(
            *toy(), **{"X_val": X_val, "y_val": y_val} | change
        )


def test_validation_and_counting_show_their_progress(capsys):
    rng = np.random.default_rng(0)
    X, y = sp.random_array((1500, 9), density=0.4, format="csr", rng=rng), np.arange(1500) % 4
    flat_classifier(direct="sparse", early_stopping=True, verbose=1, max_iter=2, random_state=0).fit(X, y)
    shown = capsys.readouterr()
    assert "counting the pairs of features and classes" in shown.err and not shown.out
    assert "validating" in shown.err and "calibrating" in shown.err
