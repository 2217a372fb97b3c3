"""NumPy's error state of the user does not reach our own arithmetic."""

import numpy as np
import pytest

from fastsoftmax import OneVsAllClassifier, SoftmaxRegression, linear_cross_entropy, linear_logsumexp, linear_topk


def test_answers_whatever_the_users_error_state():
    X, W = np.array([[1e3, 0], [0, 1.0]]), np.array([[1, 0], [0, 1], [-1, 1.0]]) * 100
    functions = (
        lambda: linear_logsumexp(X, W),
        lambda: linear_topk(X, W, 2)[1],
        lambda: linear_cross_entropy(X, W, [0, 1], return_grad=True)[0],
        lambda: SoftmaxRegression().fit(X, [0, 1]).predict_proba(X * 1e3),
        lambda: OneVsAllClassifier(feature_scaling=1).fit(X, [[0], [0, 1]]).predict_marginals(X * 1e3),
        lambda: OneVsAllClassifier("logistic", 1e-9).fit(X * 1e-200, [0, 1]).decision_function(X * 1e3),
    )
    for function in functions:
        expected = function()
        with np.errstate(all="raise"):
            np.testing.assert_array_equal(function(), expected)


@pytest.mark.filterwarnings("ignore:overflow")
def test_newton_on_rows_near_the_end_of_float32():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((50, 4)) < 0.5, 3e38, -3e38).astype(np.float32)
    with pytest.raises(ValueError, match="X has values so near the ends of float32"):
        SoftmaxRegression(solver="newton-cg", fit_intercept=False).fit(X, np.arange(50) % 3)
