"""Ranking metrics of top-k predictions, log-loss and perplexity, and a blocked evaluation of a model.

True labels come one a row, in a 1-D array, or several a row. Several are a list (or set) of labels for each row, or an
indicator of shape (n_samples, n_classes): a sparse matrix, or an array of zeros and ones, whose nonzeros are the labels and
whose column indices name them. A label counts once, however often a row has it. A ranking holds the predicted labels of each
row, best first and distinct; -1 is padding and never a hit. With one label a row, every ranking metric at 1 is the accuracy.
"""

import numpy as np
from scipy import sparse

from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.validation import (
    check_counts,
    check_depths,
    check_evaluated_rows,
    check_int,
    check_log_proba,
    check_same_length,
    check_topk,
    check_true_labels,
    check_verbose,
    ratios,
)


def hit_at_k(topk, y, k):
    """The share of the rows that have a true label among the first `k` predictions (for one label a row: top-k accuracy).

    Parameters
    ----------
    topk : array-like of shape (n_samples, >= k)
        Predicted labels of each row, best first, without repeats; -1 is padding.
    y : array-like of shape (n_samples,), list of n_samples lists, or sparse matrix of shape (n_samples, n_classes)
        The true label of each row, a list of its labels, or an indicator of them. A row without labels counts as a miss.
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

    Parameters, returns and errors are those of `hit_at_k`. As in scikit-learn, a row without labels counts as 0.
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


@with_numpys_defaults
def log_loss(log_proba_of_target, sample_weight=None):
    """The weighted mean of the negative log-probability of the true labels, in nats; infinite if one has probability 0.

    Parameters
    ----------
    log_proba_of_target : array-like of shape (n_samples,)
        The natural logarithm of the probability that each row's true label was given.
    sample_weight : array-like of shape (n_samples,), optional
        Weights that are not negative and not all zero; only their ratios matter.

    Returns
    -------
    float
    """
    log_proba = check_log_proba("log_proba_of_target", log_proba_of_target)
    if sample_weight is None:
        return float(-np.mean(log_proba, dtype=np.float64))
    weight = ratios(check_counts("sample_weight", sample_weight))
    check_same_length("sample_weight", weight, "log_proba_of_target", log_proba)
    counted = weight > 0  # a weight of 0 leaves out even an infinite loss
    return float(-np.average(log_proba[counted], weights=weight[counted]))


def perplexity(log_proba_of_target, sample_weight=None):
    """``exp(log_loss(...))``, infinite if that overflows. Parameters are those of `log_loss`."""
    return _exp(log_loss(log_proba_of_target, sample_weight))


@with_numpys_defaults
def evaluate(model, X, y, ks=(1, 5, 20), batch_size=1024, *, verbose=0):
    """All metrics of a model on (X, y), computed block by block: no array of shape (n_samples, n_classes) is made.

    Parameters
    ----------
    model : fitted classifier
        What has ``classes_``, ``predict_topk(X, k) -> (labels, log_proba)``, both of shape (n, k), and
        ``target_log_proba(X, y) -> (n,)``, the log-probabilities of given labels, -inf for one that the model does not know.
    X : array-like or sparse matrix of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), list of n_samples lists, or sparse matrix of shape (n_samples, n_labels)
        The true label of each row, a list of its labels, or an indicator of them (column indices).
    ks : sequence of int
        The depths of the ranking metrics. A depth beyond the number of the model's classes is allowed: the rest are misses.
    batch_size : int
        Rows to evaluate at a time.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    dict
        "n"
            Number of rows.
        "n_unlabelled"
            Rows without any label, which only an indicator has: they have no log-loss, and count as 0 in the ranking metrics.
        "n_unknown"
            True labels that the model does not know (log-probability -inf): they have no log-loss, and are misses in the
            ranking metrics. For one label a row this is the number of such rows.
        "log_loss", "perplexity"
            Over the rows with a known label, in nats; of a row with several labels, their mean. NaN if there is no such row.
        "precision@k", "hit@k", "mrr@k", "ndcg@k"
            For every k of `ks`, over all rows.
    """
    X = check_evaluated_rows(X)
    y, names = check_true_labels("y", y)
    check_same_length("y", y, "X", X)
    ks = check_depths("ks", ks)
    batch_size = check_int("batch_size", batch_size, minimum=1)
    check_verbose(verbose)
    n_samples, depth = X.shape[0], min(ks[-1], len(model.classes_))
    sums = {f"{name}@{k}": 0.0 for k in ks for name in _ROW_METRICS}
    row_log_proba, n_unknown, n_unlabelled = [], 0, 0
    with shown_rows(n_samples, "evaluating", verbose) as show:
        for start in range(0, n_samples, batch_size):
            X_block, y_block = X[start : start + batch_size], y[start : start + batch_size]
            topk, topk_log_proba = model.predict_topk(X_block, depth)
            topk = check_topk("predict_topk(X)", topk, y_block, names, min_columns=depth)
            relevant, n_labels = _relevance(topk, y_block)
            for k in ks:
                for name, metric in _ROW_METRICS.items():
                    sums[f"{name}@{k}"] += float(metric(relevant[:, :k], n_labels, k).sum())
            log_proba, n_unknown_block = _row_log_proba(model, X_block, y_block, names, relevant, topk_log_proba)
            row_log_proba.append(log_proba)
            n_unknown += n_unknown_block
            n_unlabelled += int(np.count_nonzero(n_labels == 0))
            show(len(topk))

    row_log_proba = np.concatenate(row_log_proba)
    loss = log_loss(row_log_proba) if len(row_log_proba) else float("nan")
    counts = {"n": n_samples, "n_unlabelled": n_unlabelled, "n_unknown": n_unknown}
    return counts | {"log_loss": loss, "perplexity": _exp(loss)} | {name: s / n_samples for name, s in sums.items()}


@with_numpys_defaults
def compare(model, other, X, y, ks=(1, 5, 20), batch_size=1024, *, verbose=0):
    """How the predictions of `other`, for example a compressed classifier, differ from those of `model` on (X, y).

    Parameters
    ----------
    model, other : fitted classifiers, as for `evaluate`
    X, y, ks, batch_size, verbose : as for `evaluate`

    Returns
    -------
    dict
        "model", "other"
            What `evaluate` returns for each.
        "change"
            The second minus the first, for the log-loss, the perplexity and every ranking metric.
        "same_best"
            The share of the rows with the same most probable label.
    """
    X = check_evaluated_rows(X)
    results = [evaluate(m, X, y, ks, batch_size, verbose=verbose) for m in (model, other)]
    n_same = 0
    for start in range(0, X.shape[0], batch_size):
        block = X[start : start + batch_size]
        best, other_best = (m.predict_topk(block, 1)[0] for m in (model, other))
        n_same += int(np.count_nonzero(best == other_best))
    counts = ("n", "n_unlabelled", "n_unknown")
    change = {name: results[1][name] - value for name, value in results[0].items() if name not in counts}
    return {"model": results[0], "other": results[1], "change": change, "same_best": n_same / max(1, X.shape[0])}


def _exp(x):
    with np.errstate(over="ignore"):
        return float(np.exp(x))


@with_numpys_defaults
def _mean_at_k(row_metric, topk, y, k):
    k = check_int("k", k, minimum=1)
    y, names = check_true_labels("y", y)
    topk = check_topk("topk", topk, y, names, min_columns=k)
    relevant, n_labels = _relevance(topk[:, :k], y)
    return float(row_metric(relevant, n_labels, k).mean())


def _relevance(topk, y):
    """Which predictions are true labels, (n, width) bool, and the number of labels of each row, (n,)."""
    if not sparse.issparse(y):
        return topk == y[:, np.newaxis], np.ones(len(y), np.int64)
    n_samples, n_classes = y.shape
    n_labels = np.diff(y.indptr)
    rows = np.arange(n_samples, dtype=np.int64)
    # Row and label make one number, ascending since y is canonical: one binary search a prediction finds it.
    true_keys = np.repeat(rows, n_labels) * n_classes + y.indices
    keys = rows[:, np.newaxis] * n_classes + topk
    places = np.searchsorted(true_keys, keys)
    found = np.zeros(topk.shape, bool)
    inside = places < len(true_keys)
    found[inside] = true_keys[places[inside]] == keys[inside]
    return found & (topk != -1), n_labels


def _row_log_proba(model, X, y, names, relevant, topk_log_proba):
    """Mean log-probability of the known labels of each row that has one, and the number of unknown labels."""
    if not sparse.issparse(y):
        log_proba = np.zeros(len(y))
        found = relevant.any(axis=1)  # the log-probabilities of these are among the best already
        log_proba[found] = topk_log_proba[found, relevant.argmax(axis=1)[found]]
        if not found.all():
            log_proba[~found] = model.target_log_proba(X[~found], y[~found])
        log_proba = check_log_proba("target_log_proba(X, y)", log_proba)
        known = log_proba != -np.inf
        return log_proba[known], int(np.count_nonzero(~known))
    if not y.nnz:
        return np.empty(0), 0
    rows = np.repeat(np.arange(y.shape[0]), np.diff(y.indptr))
    labels = y.indices if names is None else names[y.indices]
    log_proba = check_log_proba("target_log_proba(X, y)", model.target_log_proba(X[rows], labels))
    known = log_proba != -np.inf
    n_known = np.bincount(rows[known], minlength=y.shape[0])
    totals = np.bincount(rows[known], weights=log_proba[known], minlength=y.shape[0])
    return totals[n_known > 0] / n_known[n_known > 0], int(np.count_nonzero(~known))


# Metrics of each row, from relevant (n, at most k) bool and n_labels (n,).


def _hit(relevant, n_labels, k):
    return relevant.any(axis=1)


def _reciprocal_rank(relevant, n_labels, k):
    return relevant.any(axis=1) / (1 + relevant.argmax(axis=1))


def _ndcg(relevant, n_labels, k):
    width = max(relevant.shape[1], min(k, int(n_labels.max(initial=0))))  # which k may be far beyond
    discounts = 1.0 / np.log2(np.arange(2, width + 2))
    best = np.concatenate([[1.0], np.cumsum(discounts)])[np.minimum(n_labels, width)]  # no labels: 0 / 1
    return relevant @ discounts[: relevant.shape[1]] / best


def _precision(relevant, n_labels, k):
    return relevant.sum(axis=1) / k


_ROW_METRICS = {"precision": _precision, "hit": _hit, "mrr": _reciprocal_rank, "ndcg": _ndcg}
