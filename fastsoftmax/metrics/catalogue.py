"""What lists of predictions have of the catalogue: how much of it, and how popular items."""

import numpy as np
from scipy import sparse

from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    check_catalogue,
    check_int,
    check_labels,
    check_popularity,
    check_predicted,
    check_rankings,
    check_same_length,
    check_true_labels,
    encode_labels,
)


def coverage_at_k(topk, k, classes=None, *, n_classes=None):
    """The share of all labels that are among the first `k` predictions of some row: the catalogue coverage [1]_.

    Parameters
    ----------
    topk : array-like of shape (n_samples, >= k)
        Predicted labels of each row, best first, without repeats; -1 is padding.
    k : int
        The depth, at least 1.
    classes : 1-D array of labels, optional
        All labels that could be predicted, such as a model's ``classes_``.
    n_classes : int, optional
        Instead of `classes`: the labels 0 to n_classes - 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `topk` has a label that is not among all, names one twice in a row, or has fewer than `k` columns, or unless one
        of `classes` and `n_classes` is given.

    References
    ----------
    .. [1] M. Ge, C. Delgado-Battenfeld and D. Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
       serendipity", RecSys 2010.
    """
    k = check_int("k", k, minimum=1)
    labels = check_catalogue("classes", classes, n_classes)
    topk = check_rankings("topk", topk, min_columns=k)[:, :k]
    listed = Listed(len(labels))
    listed.add(check_predicted("topk", topk, labels))
    return listed.share()


class Listed:
    """Which classes are in some list; the lists come block by block."""

    def __init__(self, n_classes):
        self.is_listed = np.zeros(n_classes + 1, bool)  # the last one stands for padding

    def add(self, codes):
        """Count lists of class codes, of any shape; -1 is padding."""
        self.is_listed[codes] = True

    def share(self):
        return float(self.is_listed[:-1].mean())


def popularity_at_k(topk, k, popularity):
    """How popular the first `k` predictions are: the mean over the rows of each row's mean, its average recommendation
    popularity [1]_.

    Parameters
    ----------
    topk : array-like of shape (n_samples, >= k)
        Predicted labels of each row, best first, without repeats; -1 is padding.
    k : int
        The depth, at least 1.
    popularity : array or dict
        How popular each label is: how often the training data have it, as in the reference, or its percentile by that, or
        any other numbers that are finite and not negative. An array has the number of the label 0, of 1, and so on. For
        labels of any other kind, it is a dict from label to number, such as ``collections.Counter(labels)``. A label
        without a number has 0: the training data do not have it.

    Returns
    -------
    float
        A row without predictions has no part in it; NaN if no row has any.

    Raises
    ------
    ValueError
        If `topk` has fewer than `k` columns or names a label twice in a row, if its labels are of another kind than those of
        `popularity`, or if a number is negative or not finite.

    References
    ----------
    .. [1] H. Yin, B. Cui, J. Li, J. Yao and C. Chen, "Challenging the long tail recommendation", PVLDB 5(9), 2012,
       arXiv:1205.6700.
    """
    k = check_int("k", k, minimum=1)
    labels, numbers = check_popularity("popularity", popularity)
    topk = check_rankings("topk", topk, min_columns=k)[:, :k]
    return _mean(row_popularity(topk, labels, numbers))


@with_numpys_defaults
def popularity_bias_at_k(topk, y, k, popularity):
    """By how much the first `k` predictions are more popular than the true labels, as a share of these: ``P / T - 1``.

    P is `popularity_at_k` of the predictions, and T is the same of the true labels: the mean over the rows of the mean
    popularity of each row's labels. 0 is no bias; 1 says that predictions are twice as popular as what is true. It is the
    change in group average popularity [1]_ of all rows as one group, from their true labels to the predictions.

    Parameters
    ----------
    topk, k, popularity : as in `popularity_at_k`
    y : array of shape (n_samples,), list of n_samples lists or sets, sparse matrix or array of shape (n_samples, n_classes)
        The true label of each row, a list or a set of its labels, or an indicator of them; see `hit_at_k`. A row without
        labels has no part in T.

    Returns
    -------
    float
        NaN if no row has predictions, or no true label has a popularity above 0.

    Raises
    ------
    ValueError
        As `popularity_at_k`, and if `y` has not as many rows as `topk`, or labels of another kind than `popularity`.

    References
    ----------
    .. [1] H. Abdollahpouri, M. Mansoury, R. Burke and B. Mobasher, "The unfairness of popularity bias in recommendation",
       RMSE workshop at RecSys 2019, arXiv:1907.13286.
    """
    k = check_int("k", k, minimum=1)
    labels, numbers = check_popularity("popularity", popularity)
    y, names = check_true_labels("y", y)
    topk = check_rankings("topk", topk, min_columns=k)[:, :k]
    check_same_length("topk", topk, "y", y)
    return bias(_mean(row_popularity(topk, labels, numbers)), mean_true_popularity(y, names, labels, numbers))


def bias(predicted, true):
    """By how much `predicted` is above `true`, as a share of this; NaN where there is nothing to compare with."""
    return predicted / true - 1 if true > 0 else float("nan")


def row_popularity(topk, labels, numbers):
    """The mean popularity of the predictions of each row that has any."""
    codes = check_predicted("topk", topk, labels, unknown=len(labels))
    popularity = np.append(numbers, [0.0, 0.0])[codes]  # of an unknown label, and of padding
    n_predicted = np.count_nonzero(codes >= 0, axis=1)
    rows = n_predicted > 0
    return popularity[rows].sum(axis=1) / n_predicted[rows]


def mean_true_popularity(y, names, labels, numbers):
    """The mean over the rows of the mean popularity of each one's labels, given `y` and `names` by `check_true_labels`."""
    numbers = np.append(numbers, 0.0)  # of an unknown label
    if not sparse.issparse(y):
        return _mean(numbers[_codes(check_labels(y)[0], labels)])
    n_labels = np.diff(y.indptr)
    of_columns = numbers[_codes(np.arange(y.shape[1]) if names is None else names, labels)]
    is_label = sparse.csr_array((np.ones(y.nnz), y.indices, y.indptr), shape=y.shape)
    rows = n_labels > 0
    return _mean((is_label @ of_columns)[rows] / n_labels[rows])


def _codes(given, labels):
    return encode_labels(given, labels, unknown=len(labels), name="y")


def _mean(numbers):
    return float(numbers.mean()) if len(numbers) else float("nan")
