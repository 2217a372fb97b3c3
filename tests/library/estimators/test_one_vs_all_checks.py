"""scikit-learn's checks of estimators on OneVsAllClassifier: all of them. What else it and SoftmaxRegression take as X."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastsoftmax import OneVsAllClassifier, SoftmaxRegression


@parametrize_with_checks(
    [
        OneVsAllClassifier(n_threads=1, max_iter=1000),
        OneVsAllClassifier(loss="logistic", n_threads=1, max_iter=1000, tol=1e-4),
        OneVsAllClassifier(min_weight=1e-3, n_threads=1, max_iter=1000),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [SoftmaxRegression, OneVsAllClassifier])
def test_the_dtype_of_X_in_which_a_solver_works(estimator):
    pd = pytest.importorskip("pandas")
    X, y = np.random.default_rng(0).standard_normal((40, 3)), np.arange(40) % 2
    frames = {
        "float32": [X.astype("float32"), pd.DataFrame(X, dtype="float32")],
        "float64": [X, X.tolist(), X.astype("float16"), pd.DataFrame(X), pd.DataFrame(X).astype({0: "float32"})],
    }
    for dtype, inputs in frames.items():
        assert [estimator().fit(a, y).coef_.dtype for a in inputs] == [dtype] * len(inputs)
    with pytest.raises(ValueError, match="X holds texts"):
        estimator().fit(pd.Series(["a b"] * 40, dtype="string"), y)
