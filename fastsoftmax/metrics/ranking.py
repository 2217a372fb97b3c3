"""Ranking metrics of the best predictions of each row, in which all labels count alike."""

import numpy as np
from scipy import sparse

from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import check_int, check_topk, check_true_labels


def hit_at_k(topk, y, k):
    """The share of the rows that have a true label among the first `k` predictions (for one label a row: top-k accuracy).

    Parameters
    ----------
    topk : array-like of shape (n_samples, >= k)
        Predicted labels of each row, best first, without repeats; -1 is padding.
    y : array of shape (n_samples,), list of n_samples lists or sets, sparse matrix or array of shape (n_samples, n_classes)
        The true label of each row, a list or a set of its labels, or an indicator of them. A list of lists holds labels, even
        if all are equally long: an indicator has to be an array or a sparse matrix. A row without labels counts as a miss.
    k : int
        The depth, at least 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit, there are no rows, a row of `topk` names a label twice, or `topk` has columns that the indicator
        lacks.
    TypeError
        If the labels of `topk` and `y` cannot be compared.
    """
    return _mean_at_k(_hit, topk, y, k)


def mrr_at_k(topk, y, k):
    """The mean of 1 / (rank of the first true label), which is 0 if none is among the first `k` predictions.

    Parameters, returns and errors are those of `hit_at_k`.
    """
    return _mean_at_k(_reciprocal_rank, topk, y, k)


def ndcg_at_k(topk, y, k):
    """The mean of DCG@k / (best possible DCG@k), where ``DCG@k = sum of 1 / log2(1 + rank) over the hits up to rank k``.

    Parameters, returns and errors are those of `hit_at_k`. As in scikit-learn, a row without labels counts as 0. The best of a
    row with fewer than `k` labels has all of them first, as in the extreme classification repository [1]_.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: multi-label datasets and code", 2016.
       http://manikvarma.org/downloads/XC/XMLRepository.html
    """
    return _mean_at_k(_ndcg, topk, y, k)


def precision_at_k(topk, y, k):
    """The mean of (hits among the first `k` predictions) / `k`, as in the extreme classification repository [1]_.

    Parameters, returns and errors are those of `hit_at_k`.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: multi-label datasets and code", 2016.
       http://manikvarma.org/downloads/XC/XMLRepository.html
    """
    return _mean_at_k(_precision, topk, y, k)


def recall_at_k(topk, y, k):
    """The mean of (hits among the first `k` predictions) / (labels of the row); a row without labels counts as 0.

    Parameters, returns and errors are those of `hit_at_k`. Of a row with more than `k` labels it is at most `k` over these.
    """
    return _mean_at_k(_recall, topk, y, k)


@with_numpys_defaults
def _mean_at_k(row_metric, topk, y, k):
    k = check_int("k", k, minimum=1)
    y, names = check_true_labels("y", y)
    topk = check_topk("topk", topk, y, names, min_columns=k)
    relevant, n_labels = relevance(topk[:, :k], y)
    return float(row_metric(relevant, n_labels, k).mean())


def relevance(topk, y):
    """Which predictions are true labels, (n, width) bool, and the number of labels of each row, (n,)."""
    if not sparse.issparse(y):
        return topk == y[:, np.newaxis], np.ones(len(y), np.int64)
    n_labels = np.diff(y.indptr)
    if not y.nnz:
        return np.zeros(topk.shape, bool), n_labels
    rows = np.repeat(np.arange(y.shape[0]), topk.shape[1])
    found = y[rows, np.maximum(topk, 0).reshape(-1)]  # since y is canonical, by binary search among the labels of a row
    found = found.toarray() if sparse.issparse(found) else np.asarray(found)  # it depends on SciPy's version
    return (found.reshape(topk.shape) != 0) & (topk != -1), n_labels


# Metrics of each row, from relevant (n, at most k) bool and n_labels (n,).


def _hit(relevant, n_labels, k):
    return relevant.any(axis=1)


def _reciprocal_rank(relevant, n_labels, k):
    return relevant.any(axis=1) / (1 + relevant.argmax(axis=1))


def _ndcg(relevant, n_labels, k):
    return discounted(relevant) / best_dcg(n_labels, k)  # no labels: 0 / 1


def _precision(relevant, n_labels, k):
    return relevant.sum(axis=1) / k


def _recall(relevant, n_labels, k):
    return relevant.sum(axis=1) / np.maximum(n_labels, 1)


def discounted(gains):
    """The sums over each row of gains by rank, (n, k), each divided by log2(1 + rank)."""
    return gains @ _discounts(gains.shape[1])


def best_dcg(n_labels, k):
    """DCG@k of the best rankings of rows with `n_labels` labels; 1 for a row without any."""
    k = min(k, int(n_labels.max(initial=0)))  # which a depth may be far beyond
    return np.concatenate([[1.0], np.cumsum(_discounts(k))])[np.minimum(n_labels, k)]


def _discounts(k):
    return 1.0 / np.log2(np.arange(2, k + 2))


ROW_METRICS = {"precision": _precision, "hit": _hit, "mrr": _reciprocal_rank, "ndcg": _ndcg}
ROW_METRICS_OF_SEVERAL = ROW_METRICS | {"recall": _recall}  # with one label a row, recall is the hit rate
