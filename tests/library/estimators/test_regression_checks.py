"""scikit-learn's checks of estimators on SoftmaxRegression: all of them."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastsoftmax import SoftmaxRegression


@parametrize_with_checks(
    [
        SoftmaxRegression(n_threads=1, max_iter=1000),
        SoftmaxRegression(n_threads=1, solver="newton-cg"),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
