"""The probability of each class by itself, where rows may have several: a logistic regression on what a model says.

The log odds of a class k on a row are taken to be a z_k + b lse + c, with the logit z_k and the row's log-sum-exp over all
classes. With a = 1 and b = -1 they would be the log-probability of the softmax; for one-vs-all logits, b is about 0. The three
numbers are fitted on rows that the model was not trained on (Platt 1999, Probabilistic outputs for support vector machines).
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from fastsoftmax.passes import tiles

LOGITS = 1 << 25  # of all rows that take part, so that many classes cost a second or two; but
MIN_ROWS = 50  # rows take part in any case
CHUNK_LOGITS = 1 << 22  # that are in memory at a time
BINS = 256  # negatives of a row with nearly the same logit are taken together
RIDGE = 1e-6  # of the curvature, for a log-sum-exp that is the same for all rows
NAMES = ("slope", "lse", "offset")


def fit(runner, targets):
    """The numbers a, b and c as a dict; {} where no row has several classes.

    Parameters
    ----------
    runner : model.runner.Runner over rows that the model was not trained on
    targets : targets.HardTargets or SoftTargets
    """
    if not hasattr(targets, "masses"):
        return {}
    n_classes = runner.model.n_classes
    n_rows = min(runner.n_rows, max(MIN_ROWS, LOGITS // n_classes))
    rows = np.arange(n_rows) * runner.n_rows // n_rows
    parts = [_chunk(runner, rows[chunk], targets.masses[rows[chunk]]) for chunk in chunks(n_rows, n_classes)]
    features, sign, count = (np.concatenate(part) for part in zip(*parts, strict=True))

    def loss(numbers):
        u = sign * (features @ numbers)
        slope = count * sign * expit(u)
        curvature = count * expit(u) * expit(-u)
        hessian = (features.T * curvature) @ features
        hessian[np.diag_indices(3)] *= 1 + RIDGE
        return count @ np.logaddexp(0.0, u), features.T @ slope, hessian

    start = np.array([1.0, -1.0, 0.0])
    found = minimize(
        lambda x: loss(x)[0], start, jac=lambda x: loss(x)[1], hess=lambda x: loss(x)[2], method="trust-exact"
    )
    return dict(zip(NAMES, found.x.tolist(), strict=True))


def chunks(n_rows, n_classes):
    """Ranges of rows whose logits fit into some megabytes."""
    step = max(1, CHUNK_LOGITS // n_classes)
    return [np.arange(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _chunk(runner, rows, masses):
    """Features (n, 3), signs (n,) and counts (n,): of each class that a row has, and of bins of those that it has not."""
    z = logits(runner, rows).astype(np.float64)
    lse = _lse(z)
    row = np.repeat(np.arange(len(rows)), np.diff(masses.indptr))
    positive = z[row, masses.indices]
    z[row, masses.indices] = np.nan
    low, high = np.nanmin(z, axis=1, initial=np.inf), np.nanmax(z, axis=1, initial=-np.inf)
    of_row, column = np.nonzero(~np.isnan(z))
    values = z[of_row, column]
    width = np.where(high > low, high - low, 1.0)
    at = of_row * BINS + np.minimum(((values - low[of_row]) / width[of_row] * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(at, minlength=len(rows) * BINS)
    mean = np.bincount(at, weights=values, minlength=len(rows) * BINS)[count > 0] / count[count > 0]
    in_row = np.repeat(np.arange(len(rows)), BINS)[count > 0]
    features = [np.stack([v, lse[r], np.ones(len(v))], axis=1) for v, r in ((positive, row), (mean, in_row))]
    sign = np.concatenate([np.full(len(positive), -1.0), np.ones(len(mean))])
    return np.concatenate(features), sign, np.concatenate([np.ones(len(positive)), count[count > 0]])


def logits(runner, rows):
    """All logits of these rows, (n, n_classes)."""
    out = np.empty((len(rows), runner.model.n_classes), runner.model.dtype)
    tiles.write_logits(runner.terms(rows), out, runner.n_threads, runner.workspace)
    return out


def _lse(z):
    top = z.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(z - top).sum(axis=1))


def of_logits(z, numbers):
    """The marginal probabilities of logits, (n_rows, n_classes), in place."""
    lse = _lse(z.astype(np.float64))
    z *= numbers["slope"]
    z += (numbers["lse"] * lse + numbers["offset"])[:, None].astype(z.dtype)
    return expit(z, out=z)
