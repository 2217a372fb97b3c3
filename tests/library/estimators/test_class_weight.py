"""Class weights multiply the weights of rows: they are given by label, or balanced."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_class_weight

from fastsoftmax import SoftmaxClassifier

N_CLASSES = 6


def small(**params):
    defaults = {"random_state": 0, "n_threads": 1, "max_iter": 8, "learning_rate": 0.5, "direct": "dense"}
    return SoftmaxClassifier(**defaults | params)


@pytest.fixture
def data():
    codes = np.resize(np.arange(N_CLASSES), 60)
    return sp.csr_array(sp.eye_array(N_CLASSES, format="csr")[codes]), codes


def test_class_weight_is_a_factor_of_sample_weight(data):
    X, codes = data
    names = np.array([f"name {k}" for k in range(N_CLASSES)])
    y, sample_weight = names[codes], 1.0 + np.arange(60) % 3
    weights = {"name 1": 2.0, "name 4": 0.25}
    by_row = np.array([weights.get(name, 1.0) for name in y])
    params = {"optimizer": "sgd", "batch_size": 7}
    models = [
        small(class_weight=weights, **params).partial_fit(X, y, classes=names, sample_weight=sample_weight),
        small(**params).partial_fit(X, y, classes=names, sample_weight=sample_weight * by_row),
    ]
    for model in models:  # the weights of rows and of classes are in the bias
        assert_allclose(model.intercept_, np.log(np.array([10, 40, 30, 10, 5, 30]) / 125), atol=0.3)
    models[0].partial_fit(X, y, sample_weight=sample_weight)
    models[1].partial_fit(X, y, sample_weight=sample_weight * by_row)
    assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-5)
    assert_allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=1e-6)
    assert abs(models[0].coef_ - small(**params).fit(X, y, sample_weight).coef_).max() > 0.01


def test_balanced(data):
    X, codes = data
    y = np.where(codes < 4, 0, codes)
    weight = 1.0 + np.arange(60) % 2
    balanced = compute_class_weight("balanced", classes=np.array([0, 4, 5]), y=y, sample_weight=weight)
    by_name = small(class_weight=dict(zip([0, 4, 5], balanced, strict=True))).fit(X, y, weight)
    model = small(class_weight="balanced").fit(X, y, weight)
    assert_allclose(model.coef_, by_name.coef_, rtol=1e-6)
    assert np.ptp(small(class_weight="balanced").fit(0 * X, y).intercept_) < 0.05
    assert np.ptp(small().fit(0 * X, y).intercept_) > 1
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
        model.partial_fit(X, y)
    indicator = sp.csr_array(sp.eye_array(6, format="csr")[y])[:, [0, 4, 5]]
    soft = small(class_weight="balanced").fit(X, indicator, weight)
    assert_array_equal(soft.coef_.shape, model.coef_.shape)
    assert_allclose(soft.intercept_, model.intercept_, atol=0.2)


BAD_WEIGHTS = [
    ("equal", ValueError, "class_weight must be None, 'balanced' or a dict of labels and weights, got 'equal'"),
    ([1, 2], ValueError, r"class_weight must be None, .* got \[1, 2\]"),
    ({1: -1}, ValueError, "class_weight must be finite and not negative, got -1 for 1"),
    ({1: np.inf}, ValueError, "class_weight must be finite and not negative, got inf for 1"),
    ({1: "2"}, TypeError, "class_weight must hold real numbers, got '2' for 1"),
    ({1: 2, 6: 1}, ValueError, "class_weight holds 6, which is not among the 6 classes"),
    (dict.fromkeys(range(6), 0.0), ValueError, "sample_weight with class_weight must not be all zero"),
]


@pytest.mark.parametrize(("weights", "error", "message"), BAD_WEIGHTS, ids=[message for *_, message in BAD_WEIGHTS])
def test_bad_class_weight(data, weights, error, message):
    with pytest.raises(error, match=message):
        small(class_weight=weights).fit(*data)


def test_class_weight_of_classes_that_these_rows_lack(data):
    X, codes = data
    some = codes < 4
    weights = dict.fromkeys(range(6), 2.0)
    assert_array_equal(small(class_weight=weights).fit(X[some], codes[some]).classes_, np.arange(4))
