"""The weights of a mixture, for each bucket of rows, by expectation maximisation on rows that the experts have not seen.

    p(y | x) = sum over m of weights[bucket(x), m] p_m(y | x)

The likelihood of the rows is concave in the weights, so that EM finds the best ones from any start inside. Each bucket has a
Dirichlet prior around the weights of all rows together: buckets with few rows stay close to these (Jelinek and Mercer 1980,
Interpolated estimation of Markov source parameters from sparse data).
"""

import numpy as np

from fastsoftmax.validation import check_buckets, check_expert_proba, check_int, check_real

PRIOR_ROWS = 100.0  # the weights of all rows together count as so many rows of each bucket
MAX_ITER = 1000
TOLERANCE = 1e-7  # EM ends at a smaller gain of the mean log-likelihood


def fit_weights(proba, buckets=None, n_buckets=1, *, prior_rows=PRIOR_ROWS, max_iter=MAX_ITER, tol=TOLERANCE):
    """The weights that make held-out rows most probable.

    Parameters
    ----------
    proba : array_like of float, shape (n_rows, n_experts)
        What each expert gives to the row's own class, at least 0. Rows that no expert gives anything do not count.
    buckets : array_like of int, shape (n_rows,), optional
        The bucket of each row, below n_buckets. None: all are in bucket 0.
    n_buckets : int
        At least 1. A bucket without rows gets the weights of all rows together.
    prior_rows : float
        How many rows of a bucket the weights of all rows together are worth; with 0, each bucket stands for itself.
    max_iter : int
        At most so many iterations of EM, for all rows together and then for the buckets.
    tol : float
        EM ends at a smaller gain of the mean log-likelihood (with the prior) in one iteration.

    Returns
    -------
    ndarray of float64, shape (n_buckets, n_experts)
        At least 0; each row adds up to 1.
    """
    proba = check_expert_proba(proba)
    n_buckets = check_int("n_buckets", n_buckets, minimum=1)
    buckets = check_buckets(buckets, len(proba), n_buckets)
    prior_rows = check_real("prior_rows", prior_rows, minimum=0)
    max_iter, tol = check_int("max_iter", max_iter, minimum=0), check_real("tol", tol, minimum=0)
    counts = proba.max(axis=1) > 0
    proba, buckets = proba[counts], buckets[counts]
    n_experts = proba.shape[1]
    overall = np.full((1, n_experts), 1.0 / n_experts)
    overall = _em(proba, np.zeros(len(proba), dtype=np.intp), overall, np.zeros((1, n_experts)), max_iter, tol)
    if n_buckets == 1:
        return overall
    weights = np.full((n_buckets, n_experts), 1.0 / n_experts)  # an expert of no use for all rows may be of use here
    weights[np.bincount(buckets, minlength=n_buckets) == 0] = overall
    return _em(proba, buckets, weights, prior_rows * overall, max_iter, tol)


def mixed(proba, weights, buckets=None):
    """What the mixture gives to each row's own class, (n_rows,), from what the experts give, (n_rows, n_experts).

    weights : (n_buckets, n_experts), from `fit_weights`
    buckets : (n_rows,) as there; None: all are in bucket 0
    """
    return np.einsum("ij,ij->i", proba, weights[np.zeros(len(proba), dtype=np.intp) if buckets is None else buckets])


def _em(proba, buckets, weights, prior, max_iter, tol):
    """The weights after EM from `weights`, (n_buckets, n_experts); `prior` is what it adds to the experts' rows."""
    n_buckets, before = len(weights), -np.inf
    for _ in range(max_iter if len(proba) else 0):
        share = proba * weights[buckets]
        total = share.sum(axis=1)
        gained = np.log(total).sum() + (prior * np.log(np.maximum(weights, np.finfo(float).tiny))).sum()
        if gained - before <= tol * len(proba):
            break
        before = gained
        share /= total[:, None]
        rows = np.stack([np.bincount(buckets, column, minlength=n_buckets) for column in share.T], axis=1) + prior
        n_rows = rows.sum(axis=1, keepdims=True)
        weights = np.divide(rows, n_rows, out=weights.copy(), where=n_rows > 0)
    return weights
