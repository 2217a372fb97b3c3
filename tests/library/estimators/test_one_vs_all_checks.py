"""scikit-learn's checks of estimators on OneVsAllClassifier: all of them."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastsoftmax import OneVsAllClassifier


@parametrize_with_checks(
    [
        OneVsAllClassifier(n_threads=1, max_iter=1000),
        OneVsAllClassifier(loss="logistic", n_threads=1, max_iter=1000, tol=1e-4),
        OneVsAllClassifier(min_weight=1e-3, n_threads=1, max_iter=1000),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
