"""scikit-learn's own checks of estimators, over the kinds of models that SoftmaxClassifier trains."""

import pytest
from flat_options import flat_classifier
from sklearn.utils.estimator_checks import parametrize_with_checks

KINDS = {
    "default": {},
    "dense": {"direct": "dense", "dtype": "float64"},
    "low rank": {"hidden_size": 8},
    "sparse": {"direct": "sparse"},
    "sampled": {"direct": "dense", "loss": "sampled_softmax", "sampler": "uniform", "n_negatives": 1},
    "both terms": {"direct": "sparse", "hidden_size": 8, "loss": "sampled_softmax"},
    "early stopping": {"hidden_size": 8, "early_stopping": True},
}
# what scikit-learn expects to fail of its own estimators that train by mini-batches, SGDClassifier for one, and why
EXPECTED_TO_FAIL = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a row of weight 2 is in one step, the same row twice in two"
    for kind in ("dense", "sparse")
}
# rows so few that one batch holds them all, and a loss and terms for which no random number matters
ONE_BATCH = flat_classifier(random_state=0, n_threads=1, **KINDS["dense"]).get_params()
ESTIMATORS = [flat_classifier(random_state=0, n_threads=1, **params) for params in KINDS.values()]


def expected_to_fail(estimator):
    return {} if estimator.get_params() == ONE_BATCH else EXPECTED_TO_FAIL


@pytest.mark.filterwarnings("ignore::UserWarning")  # which some checks provoke
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_to_fail, xfail_strict=True)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
