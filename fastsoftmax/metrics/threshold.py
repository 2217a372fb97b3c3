"""Precision, recall and F1 where each class whose score reaches a threshold is predicted.

No array of (n_samples, n_classes) is made: dense scores are compared some rows at a time, and of CSR scores the stored ones.
"""

import numpy as np
from scipy import sparse

from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import check_option, check_same_length, check_scores, check_thresholds, check_true_columns

AVERAGES = ("micro", "macro", None)
BLOCK = 1 << 20  # scores that are compared at a time


def precision_at_threshold(scores, y, threshold=0.5, *, average="micro", classes=None):
    """The share of the predicted labels that are true.

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        A class is predicted for a row where its score is at least the threshold. In a sparse matrix, only a stored element is
        a score: the others are never predicted, whatever the threshold.
    y : array of shape (n_samples,), list of n_samples lists or sets, sparse matrix or array of shape (n_samples, n_classes)
        The true label of each row, a list or a set of its labels, or an indicator of them; see `hit_at_k`.
    threshold : float or array of shape (n_classes,)
        One for all classes, or one for each; a class with a threshold of infinity is never predicted.
    average : {"micro", "macro", None}
        "micro" counts the labels of all classes together. "macro" is the mean over all classes. None gives the values of
        the classes.
    classes : 1-D array of labels, optional
        The labels that the columns of `scores` stand for, such as a model's ``classes_``, where `y` holds labels; by default
        they are 0, 1, 2 and so on. The columns of an indicator are those of `scores`.

    Returns
    -------
    float, or ndarray of shape (n_classes,) where `average` is None
        As in scikit-learn, it is 0 where nothing is predicted: of a class, or at all.

    Raises
    ------
    ValueError
        If shapes do not fit, there are no rows, a score or a threshold is NaN, or a label of `y` is not among the classes.
    """
    hits, n_predicted, _ = _counts(scores, y, threshold, average, classes)
    return _averaged(hits, n_predicted, average)


def recall_at_threshold(scores, y, threshold=0.5, *, average="micro", classes=None):
    """The share of the true labels that are predicted.

    Parameters, returns and errors are those of `precision_at_threshold`. It is 0 where there is no true label.
    """
    hits, _, n_true = _counts(scores, y, threshold, average, classes)
    return _averaged(hits, n_true, average)


def f1_at_threshold(scores, y, threshold=0.5, *, average="micro", classes=None):
    """The harmonic mean of precision and recall, F1: 2 hits / (predicted labels + true labels).

    Parameters, returns and errors are those of `precision_at_threshold`. "macro" is the mean of the classes' F1 [1]_, and 0
    is the F1 of a class that is neither predicted nor true.

    References
    ----------
    .. [1] J. Opitz and S. Burst, "Macro F1 and macro F1", arXiv:1911.03347, 2019: the mean of F1, not F1 of the means.
    """
    hits, n_predicted, n_true = _counts(scores, y, threshold, average, classes)
    return _averaged(2 * hits, n_predicted + n_true, average)


@with_numpys_defaults
def _averaged(numerators, denominators, average):
    """The quotients of the classes, their mean, or the quotient of the sums; 0 where a denominator is 0."""
    if average == "micro":
        return float(numerators.sum() / max(1, denominators.sum()))
    quotients = numerators / np.maximum(denominators, 1)
    return quotients if average is None else float(quotients.mean())


@with_numpys_defaults
def _counts(scores, y, threshold, average, classes):
    """How many rows each class is predicted rightly for, predicted for, and true of: three arrays (n_classes,) of int64."""
    check_option("average", average, AVERAGES)
    scores = check_scores("scores", scores)
    n_classes = scores.shape[1]
    threshold = check_thresholds("threshold", threshold, n_classes, scores.dtype)
    y = check_true_columns("y", y, n_classes, classes)
    check_same_length("scores", scores, "y", y)
    count = _of_sparse if sparse.issparse(scores) else _of_dense
    hits, n_predicted = count(scores, y, threshold)
    return hits, n_predicted, np.bincount(y.indices, minlength=n_classes)


def _of_sparse(scores, y, threshold):
    """Hits and predictions of each class, from canonical CSR scores."""
    n_classes = scores.shape[1]
    reached = scores.data >= (threshold if threshold.ndim == 0 else threshold[scores.indices])
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))[reached]
    columns = scores.indices[reached]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=scores.shape[0]))])
    predicted = sparse.csr_array((np.ones(len(columns), np.float64), columns, starts), shape=scores.shape)
    hits = predicted.multiply(y).tocsr()
    return tuple(np.bincount(a.indices, minlength=n_classes) for a in (hits, predicted))


def _of_dense(scores, y, threshold):
    """Hits and predictions of each class, from an array of scores."""
    n_samples, n_classes = scores.shape
    n_predicted = np.zeros(n_classes, np.int64)
    step = max(1, BLOCK // n_classes)
    for start in range(0, n_samples, step):
        n_predicted += np.count_nonzero(scores[start : start + step] >= threshold, axis=0)
    rows = np.repeat(np.arange(n_samples), np.diff(y.indptr))
    reached = scores[rows, y.indices] >= (threshold if threshold.ndim == 0 else threshold[y.indices])
    return np.bincount(y.indices[reached], minlength=n_classes), n_predicted
