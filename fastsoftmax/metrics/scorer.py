"""The log-loss as a scorer of scikit-learn, for searches and cross-validation over folds that lack some of the classes."""

import numpy as np

from fastsoftmax.metrics.likelihood import log_loss
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    check_class_probabilities,
    check_floor,
    check_labels,
    check_log_proba,
    check_sample_weight,
    encode_labels,
)

LEAST = float(np.finfo(np.float64).eps)  # what scikit-learn's log_loss takes for a probability of 0


class NegLogLoss:
    """Minus the log-loss, in nats, for the `scoring` of scikit-learn's searches and cross-validation.

    "neg_log_loss" of scikit-learn raises where a fold tests on a label that its training rows do not have, as it happens
    wherever there are many classes. Here such a label counts as one of probability 0.

    Parameters
    ----------
    floor : float in [0, 1)
        The least probability that a row's label counts with: a label that training never saw has this one, and so has one
        whose own probability is smaller. The default, 2.2e-16, is what scikit-learn's `log_loss` takes for 0, and costs 36.04
        nats. With 0, one such row makes the score minus infinity, which tells no two models apart.

    Notes
    -----
    Rows with unknown labels are not left out: a model that was trained on fewer classes, and so knows fewer of them, would
    look better for it. Within a search, every candidate is trained on the same rows, and what unknown labels cost is the same
    for all. `fastsoftmax.metrics.evaluate` leaves them out, and counts them.

    A Pipeline is asked through its last step. Of the library's models the score comes from `target_log_proba`, which makes no
    array of n_samples x n_classes; rows may have several labels, of which one that is unknown makes the row unknown, and rows
    that training ignores do not count. Other classifiers need ``classes_`` and `predict_log_proba` or `predict_proba`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from fastsoftmax import SoftmaxRegression, metrics
    >>> X, y = load_iris(return_X_y=True)  # in the order of its classes: each fold tests on a class of its own
    >>> scores = cross_val_score(SoftmaxRegression(), X, y, cv=KFold(3), scoring=metrics.NegLogLoss())
    >>> scores.round(2).tolist()
    [-36.04, -36.04, -36.04]
    """

    def __init__(self, floor=LEAST):
        self.floor = check_floor("floor", floor)
        self._asks_for_weights = None  # as scikit-learn's own: routing has to be told first

    def __repr__(self):
        return "NegLogLoss()" if self.floor == LEAST else f"NegLogLoss(floor={self.floor!r})"

    @with_numpys_defaults
    def __call__(self, estimator, X, y, sample_weight=None):
        """The score of a fitted classifier, or of a Pipeline that ends with one, on rows and their labels: a float, at most 0.

        sample_weight : (n_samples,) array, optional
            Weights of the rows, at least 0; only their ratios matter. scikit-learn passes those that `fit` of its searches
            gets, and others where metadata routing is on and `set_score_request` asks for them.

        Raises
        ------
        ValueError
            If no row counts.
        """
        log_proba = _of_own_labels(estimator, X, y)
        counted = ~np.isnan(log_proba)
        weight = check_sample_weight(sample_weight, len(log_proba), counted)
        with np.errstate(divide="ignore"):
            least = np.log(self.floor)
        return -log_loss(np.maximum(check_log_proba("the log-probabilities", log_proba[counted]), least), weight)

    def set_score_request(self, *, sample_weight):
        """Whether calls get weights where metadata routing is on: True, False, None or their name there. Returns self."""
        self._asks_for_weights = sample_weight
        return self

    def get_metadata_routing(self):
        """What scikit-learn's metadata routing passes to a call."""
        from sklearn.utils.metadata_routing import MetadataRequest

        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._asks_for_weights)
        return request

    def _accept_sample_weight(self):
        return True  # scikit-learn asks so where there are several metrics


def _of_own_labels(estimator, X, y):
    """The natural logarithm of the probability of each row's own label, (n_samples,); nan for rows that do not count."""
    from sklearn.pipeline import Pipeline

    while isinstance(estimator, Pipeline):
        X, estimator = (estimator[:-1].transform(X) if len(estimator) > 1 else X), estimator[-1]
    if hasattr(estimator, "target_log_proba"):
        return np.asarray(estimator.target_log_proba(X, y), np.float64)
    labels, _ = check_labels(y)
    codes = encode_labels(labels, np.asarray(estimator.classes_), unknown=-1)
    method, values = check_class_probabilities(estimator, X, len(codes))
    own = np.take_along_axis(values, np.maximum(codes, 0)[:, None], axis=1)[:, 0].astype(np.float64)
    with np.errstate(divide="ignore"):
        log_proba = np.log(own) if method == "predict_proba" else own
    log_proba[codes < 0] = -np.inf
    return check_log_proba(f"what {method}(X) says of y", log_proba)
