"""The probability of each class by itself, where rows may have several: a logistic regression on what a model says.

The log odds of a class on a row are taken to be s(z) + b lse + c, with the class's logit z, the row's log-sum-exp over all
classes and a rising, piecewise linear s. It bends where few classes of a row lie above: there are those that the model takes
the row to have, and how sure that makes them is another matter than how the logits of all others differ. The numbers are
fitted on rows that the model was not trained on. (Platt 1999, Probabilistic outputs for support vector machines, has one
slope.)
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from fastsoftmax.passes import tiles

LOGITS = 1 << 25  # of all rows that take part, so that many classes cost a second or two; but
MIN_ROWS, MAX_ROWS = 50, 10_000  # rows take part in any case, and at most
CHUNK_LOGITS = 1 << 22  # that are in memory at a time
BINS = 256  # negatives of a row with nearly the same logit are taken together
ABOVE = (64, 8, 2, 0.7)  # classes of a row that lie above the bends, on average
RIDGE = 1.0  # penalty of the squared slopes by standard deviation: they stay finite where all is separable


def fit(runner, targets):
    """What `of_logits` needs, as a dict.

    Parameters
    ----------
    runner : model.runner.Runner over rows that the model was not trained on
    targets : targets.HardTargets or SoftTargets
    """
    n_classes = runner.model.n_all_classes
    n_rows = min(runner.n_rows, max(MIN_ROWS, min(LOGITS // n_classes, MAX_ROWS)))
    rows = np.arange(n_rows) * runner.n_rows // n_rows
    has = targets.indicator(n_classes)
    parts = [_chunk(runner, rows[chunk], has[rows[chunk]]) for chunk in chunks(n_rows, n_classes)]
    z, lse, sign, count = (np.concatenate(part) for part in zip(*parts, strict=True))
    bends = _bends(z, count, n_classes)
    pieces = _pieces(z, bends)
    slopes, factor, offset = _regression(pieces, lse, sign, count)
    numbers = {"bends": bends.tolist(), "slopes": slopes.tolist(), "lse": factor, "offset": offset}
    return numbers | {"least_lse": float(lse.min()), "largest_lse": float(lse.max())}


def _bends(z, count, n_classes):
    """The logits that so many classes of a row lie above as ABOVE has it."""
    order = np.argsort(z, kind="stable")
    below = np.cumsum(count[order]) / count.sum()
    at = np.searchsorted(below, 1 - np.minimum(np.array(ABOVE) / n_classes, 0.5))
    return np.unique(z[order][np.minimum(at, len(z) - 1)])


def _pieces(z, bends):
    """How far z goes through each piece between the bends, (len(bends) + 1, *z.shape): they add up to z less a constant."""
    pieces = [np.minimum(z - bends[0], 0)]
    ends = [*bends[1:], np.inf]
    return np.stack(pieces + [np.clip(z, begin, end) - begin for begin, end in zip(bends, ends, strict=True)])


def _regression(pieces, lse, sign, count):
    """Slopes of the pieces, none below 0, factor of the log-sum-exp, and offset: of the largest likelihood."""
    features = np.concatenate([pieces, lse[None]])
    mean = np.average(features, axis=1, weights=count)
    scale = np.sqrt(np.average((features - mean[:, None]) ** 2, axis=1, weights=count))
    scale[scale == 0] = 1.0
    A = np.concatenate([(features - mean[:, None]) / scale[:, None], np.ones((1, len(lse)))]) * sign

    def objective(x):
        u = x @ A
        loss, slope = count @ np.logaddexp(0.0, u), A @ (count * expit(u))
        penalty = RIDGE * np.append(x[:-1], 0.0)
        return loss + 0.5 * penalty @ x, slope + penalty

    bounds = [(0, None)] * len(pieces) + [(None, None)] * 2
    start = np.append(np.ones(len(pieces)), [0.0, -3.0])
    found = minimize(
        objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10}
    )
    slopes = found.x[:-1] / scale
    return slopes[:-1], float(slopes[-1]), float(found.x[-1] - slopes @ mean)


def chunks(n_rows, n_classes):
    """Ranges of rows whose logits fit into some megabytes."""
    step = max(1, CHUNK_LOGITS // max(n_classes, BINS))
    return [np.arange(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _chunk(runner, rows, has):
    """Logits, log-sum-exps, signs and counts: of each class that a row has, and of bins of those that it has not."""
    z = logits(runner, rows).astype(np.float64)
    lse = _lse(z)
    row = np.repeat(np.arange(len(rows)), np.diff(has.indptr))
    positive = z[row, has.indices]
    z[row, has.indices] = np.nan
    low, high = np.nanmin(z, axis=1, initial=np.inf), np.nanmax(z, axis=1, initial=-np.inf)
    of_row, column = np.nonzero(~np.isnan(z))
    values = z[of_row, column]
    width = np.where(high > low, high - low, 1.0)
    at = of_row * BINS + np.minimum(((values - low[of_row]) / width[of_row] * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(at, minlength=len(rows) * BINS)
    some = np.flatnonzero(count)
    mean = np.bincount(at, weights=values, minlength=len(rows) * BINS)[some] / count[some]
    return (
        np.concatenate([positive, mean]),
        lse[np.concatenate([row, some // BINS])],
        np.concatenate([np.full(len(positive), -1.0), np.ones(len(mean))]),
        np.concatenate([np.ones(len(positive)), count[some]]),
    )


def logits(runner, rows):
    """All logits of these rows, (n, n_classes)."""
    out, terms = np.empty((len(rows), runner.model.n_all_classes), runner.model.dtype), runner.terms(rows)
    runner.model.shard.fill(out, lambda part: tiles.write_logits(terms, part, runner.n_threads, runner.workspace))
    return out


def _lse(z):
    top = z.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(z - top).sum(axis=1))


def of_logits(z, numbers):
    """The marginal probabilities of logits, (n_rows, n_classes), in place; `numbers` : as `fit` has them."""
    bends, slopes = numbers["bends"], numbers["slopes"]
    lse = np.clip(
        _lse(z.astype(np.float64)), numbers["least_lse"], numbers["largest_lse"]
    )  # a row may be like no other
    log_odds = slopes[0] * np.minimum(z - bends[0], 0)
    for begin, end, slope in zip(bends, [*bends[1:], np.inf], slopes[1:], strict=True):
        log_odds += slope * (np.clip(z, begin, end) - begin)
    log_odds += (numbers["lse"] * lse + numbers["offset"])[:, None]
    return expit(log_odds.astype(z.dtype, copy=False), out=z)
