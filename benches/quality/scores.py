"""Metrics of predictions, computed in the same way for every system."""

import numpy as np

from fastsoftmax import metrics

LEAST_PROBA = 1e-12  # a smaller probability of a true class counts as this: otherwise a single row could decide
LEAST_ROWS = 3  # that have propensities
N_BINS = 15  # in the calibration error


def of_predictions(problem, folder):
    """Return {metric: value} of what a worker wrote.

    Log-loss and calibration error are None without probabilities; nDCG@5 and PSP@5 are of problems with several labels a row.
    """
    test = problem.test
    class_ids = np.load(folder / "class_ids.npy")
    y = _true_labels(problem)
    out = {f"precision@{k}": metrics.precision_at_k(class_ids, y, k) for k in (1, 3, 5)}
    if problem.is_multi_label:
        out["ndcg@5"] = metrics.ndcg_at_k(class_ids, y, 5)
        out["psp@5"] = _psp_at_5(problem, class_ids, y)
    out["hit@20"] = metrics.hit_at_k(class_ids, y, 20)
    out["mrr@20"] = metrics.mrr_at_k(class_ids, y, 20)
    out["log_loss"] = out["calibration_error"] = None
    if (folder / "log_proba.npy").exists():
        out["log_loss"] = log_loss(np.load(folder / "log_proba.npy"), test)
    if (folder / "best_proba.npy").exists():
        # -1 is an unknown class among the labels, but no prediction among the class ids
        first = _keys(np.arange(test.n_rows), class_ids[:, 0])
        hits = (test.labels >= 0) & np.isin(_keys(test.label_rows, test.labels), first)
        correct = np.zeros(test.n_rows, bool)
        correct[test.label_rows[hits]] = True
        out["calibration_error"] = calibration_error(np.load(folder / "best_proba.npy"), correct)
    return out


def _psp_at_5(problem, class_ids, y):
    """Return PSP@5, with propensities by the training rows; None of so few rows that they have none."""
    if problem.train.n_rows < LEAST_ROWS:
        return None
    # The last column stands for labels unknown in training, as in y.
    labels = problem.train.indicator(problem.n_classes + 1)
    return metrics.psp_at_k(class_ids, y, 5, metrics.inverse_propensities(labels))


def _keys(rows, class_ids):
    return rows * (1 << 32) + class_ids


def _true_labels(problem):
    """Return labels as metrics take them, one a row or an indicator matrix. Labels unknown in training count as misses."""
    test = problem.test
    if np.all(np.diff(test.label_starts) == 1):
        return np.where(test.labels < 0, problem.n_classes, test.labels)  # this class is never predicted
    known = test.labels >= 0
    columns = np.where(known, test.labels, problem.n_classes)
    indicator = type(test)(test.X, columns, test.label_starts).indicator(problem.n_classes + 1)
    indicator.sum_duplicates()
    return indicator


def log_loss(log_proba, part):
    """Return the mean over rows, in nats, of the mean over their labels known in training; None if there are none."""
    known = part.labels >= 0
    if not known.any():
        return None
    losses = -np.maximum(log_proba[known], np.log(LEAST_PROBA))
    rows = part.label_rows[known]
    counts = np.bincount(rows, minlength=part.n_rows)
    sums = np.bincount(rows, weights=losses, minlength=part.n_rows)
    return float(np.mean(sums[counts > 0] / counts[counts > 0]))


def calibration_error(confidence, correct):
    """Return the expected calibration error of the first prediction, in bins of equally many rows.

    References
    ----------
    .. [1] M. P. Naeini, G. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
       AAAI 2015.
    """
    order = np.argsort(confidence, kind="stable")
    gaps = [
        len(rows) * abs(np.mean(confidence[rows], dtype=np.float64) - np.mean(correct[rows]))
        for rows in np.array_split(order, N_BINS)
        if len(rows)
    ]
    return float(np.sum(gaps) / len(confidence))
