"""All metrics of a model on rows, block by block."""

import numpy as np
from scipy import sparse

from fastsoftmax.metrics.likelihood import exp, log_loss
from fastsoftmax.metrics.propensity import Gains, quotient
from fastsoftmax.metrics.ranking import ROW_METRICS, ROW_METRICS_OF_SEVERAL, relevance
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.validation import (
    check_depths,
    check_evaluated_rows,
    check_int,
    check_inverse_propensities,
    check_log_proba,
    check_same_length,
    check_topk,
    check_true_indicator,
    check_true_labels,
    check_undivided,
    check_verbose,
)

DEPTHS = (1, 5, 20)
DEPTHS_OF_SEVERAL = (1, 3, 5)


@with_numpys_defaults
def evaluate(model, X, y, ks=None, batch_size=1024, *, inverse_propensities=None, verbose=0):
    """All metrics of a model on (X, y), computed block by block: no array of shape (n_samples, n_classes) is made.

    Parameters
    ----------
    model : fitted classifier
        What has ``classes_`` and ``predict_topk(X, k) -> (labels, log_proba)``, both of shape (n, k). If it has
        ``target_log_proba(X, y) -> (n,)`` too, the log-probabilities of given labels, -inf for one that the model does not
        know, there is a log-loss; OneVsAllClassifier has none.
    X : array-like or sparse matrix of shape (n_samples, n_features)
    y : array of shape (n_samples,), list of n_samples lists or sets, sparse matrix or array of shape (n_samples, n_labels)
        The true label of each row, a list or a set of its labels, or an indicator of them (column indices). A list of lists
        holds labels, even if all are equally long: an indicator has to be an array or a sparse matrix.
    ks : sequence of int, optional
        The depths of the ranking metrics: by default 1, 3 and 5 where `y` has several labels a row, otherwise 1, 5
        and 20. A depth beyond the number of the model's classes is allowed: the rest are misses.
    batch_size : int
        Rows to evaluate at a time.
    inverse_propensities : array or dict, optional
        1 / propensity of each label, for PSP@k and PSnDCG@k; see `inverse_propensities`. An array has a number for each column
        of an indicator `y`; with other labels, for each of ``model.classes_``. A dict from label to number can have labels
        that the model does not know, and has to where `y` has them.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    dict
        "n"
            Number of rows.
        "n_unlabelled"
            Rows without any label, where `y` has several a row: they have no log-loss, and count as 0 in the ranking metrics.
        "n_unknown"
            True labels that the model does not know (log-probability -inf): they have no log-loss, and are misses in the
            ranking metrics. For one label a row this is the number of such rows.
        "log_loss", "perplexity"
            Over the rows with a known label, in nats; of a row with several labels, their mean. NaN if there is no such row.
            These and "n_unknown" are left out for a model without ``target_log_proba``.
        "precision@k", "hit@k", "mrr@k", "ndcg@k"
            For every k of `ks`, over all rows.
        "recall@k"
            The same, where `y` has several labels a row; with one label a row, it would be "hit@k".
        "psp@k", "psndcg@k"
            The same, where `inverse_propensities` are given.
    """
    check_undivided("metrics.evaluate", model)
    X = check_evaluated_rows(X)
    y, names = check_true_labels("y", y)
    check_same_length("y", y, "X", X)
    several = sparse.issparse(y)
    ks = (DEPTHS_OF_SEVERAL if several else DEPTHS) if ks is None else ks
    ks = check_depths("ks", ks)
    batch_size = check_int("batch_size", batch_size, minimum=1)
    check_verbose(verbose)
    scored = None if inverse_propensities is None else _Scored(inverse_propensities, y, names, model.classes_)

    n_samples, depth = X.shape[0], min(ks[-1], len(model.classes_))
    has_likelihood = hasattr(model, "target_log_proba")
    row_metrics = ROW_METRICS_OF_SEVERAL if several else ROW_METRICS
    sums = {f"{name}@{k}": 0.0 for k in ks for name in row_metrics}
    row_log_proba, n_unknown, n_unlabelled = [], 0, 0
    with shown_rows(n_samples, "evaluating", verbose) as show:
        for start in range(0, n_samples, batch_size):
            rows = slice(start, start + batch_size)
            X_block, y_block = X[rows], y[rows]
            labels, topk_log_proba = model.predict_topk(X_block, depth)
            topk = check_topk("predict_topk(X)", labels, y_block, names, min_columns=depth)
            relevant, n_labels = relevance(topk, y_block)
            for k in ks:
                for name, metric in row_metrics.items():
                    sums[f"{name}@{k}"] += float(metric(relevant[:, :k], n_labels, k).sum())
            if scored is not None:
                scored.add(labels, rows, ks)
            if has_likelihood:
                log_proba, n_unknown_block = _row_log_proba(model, X_block, y_block, names, relevant, topk_log_proba)
                row_log_proba.append(log_proba)
                n_unknown += n_unknown_block
            n_unlabelled += int(np.count_nonzero(n_labels == 0))
            show(len(topk))

    result = {"n": n_samples, "n_unlabelled": n_unlabelled}
    if has_likelihood:
        row_log_proba = np.concatenate(row_log_proba)
        loss = log_loss(row_log_proba) if len(row_log_proba) else float("nan")
        result |= {"n_unknown": n_unknown, "log_loss": loss, "perplexity": exp(loss)}
    result |= {name: s / n_samples for name, s in sums.items()}
    return result | ({} if scored is None else scored.quotients())


class _Scored:
    """The propensity-scored metrics of predictions that come block by block."""

    def __init__(self, inverse_propensities, y, names, classes):
        if not sparse.issparse(y):
            y, names = check_true_indicator("y", y)
        numbers = check_inverse_propensities("inverse_propensities", inverse_propensities, y, names, classes)
        self.y, self.names, self.gains, self.sums = y, names, Gains(numbers), {}

    def add(self, labels, rows, ks):
        """Count the predicted labels of a slice of the rows."""
        y = self.y[rows]
        topk = check_topk("predict_topk(X)", labels, y, self.names, min_columns=1)
        for name, sums in self.gains.sums(topk, y, ks).items():
            self.sums[name] = self.sums.get(name, 0.0) + sums

    def quotients(self):
        return {name: quotient(sums) for name, sums in self.sums.items()}


@with_numpys_defaults
def compare(model, other, X, y, ks=None, batch_size=1024, *, inverse_propensities=None, verbose=0):
    """How the predictions of `other`, for example a compressed classifier, differ from those of `model` on (X, y).

    Parameters
    ----------
    model, other : fitted classifiers, as for `evaluate`
    X, y, ks, batch_size, inverse_propensities, verbose : as for `evaluate`

    Returns
    -------
    dict
        "model", "other"
            What `evaluate` returns for each.
        "change"
            The second minus the first, for every ranking metric and, if both have them, the log-loss and the perplexity.
        "same_best"
            The share of the rows with the same most probable label.
    """
    X = check_evaluated_rows(X)
    measured = {"inverse_propensities": inverse_propensities, "verbose": verbose}
    results = [evaluate(m, X, y, ks, batch_size, **measured) for m in (model, other)]
    n_same = 0
    for start in range(0, X.shape[0], batch_size):
        block = X[start : start + batch_size]
        best, other_best = (m.predict_topk(block, 1)[0] for m in (model, other))
        n_same += int(np.count_nonzero(best == other_best))
    counts = ("n", "n_unlabelled", "n_unknown")
    both = [name for name in results[0] if name in results[1] and name not in counts]
    change = {name: results[1][name] - results[0][name] for name in both}
    return {"model": results[0], "other": results[1], "change": change, "same_best": n_same / max(1, X.shape[0])}


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
