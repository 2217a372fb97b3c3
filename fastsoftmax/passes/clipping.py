"""A bound on what one row does to the weights: its gradient is scaled down to a norm (as in Abadi et al. 2016).

There are two gradients, and each has its own bound: that of the output weights W, V and bias, the outer product of the row's
dlogits and its inputs (1, x, h), and that of the embedding E, the outer product of x and dhidden. So both norms are products.
The norm of dlogits is not known before the pass that uses it, but a bound is: for a softmax p, the elements other than the
target's add up to 1 - p_y and the target's is p_y - 1, so the norm is at most sqrt(2) (1 - p_y), and at least half of that.
"""

import numpy as np

TINY = np.finfo(np.float64).tiny


def row_factors(clip_norm, forward, squared_inputs, log_normaliser=None):
    """(n_rows,) factors of at most 1 that bring each row's gradient of the output weights to a norm of at most `clip_norm`.

    forward : a first pass with `nll`, of a softmax or, if it has a `weight`, of logistic losses
    squared_inputs : (n_rows,) squared norms of the inputs of the output weights
    log_normaliser : as for passes.tiles.Forward.backward
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.minimum(1.0, clip_norm / np.maximum(_dlogits_bound(forward, log_normaliser), TINY)
                          / np.maximum(np.sqrt(squared_inputs), TINY))  # fmt: skip


def _dlogits_bound(forward, log_normaliser):
    if getattr(forward, "weight", None) is not None:
        return forward.nll  # each |dlogit| is at most its logit's share of the loss
    others = -np.expm1(-forward.nll)
    if log_normaliser is None:
        return np.sqrt(2.0) * others
    others = others * np.exp(forward.lse - log_normaliser)
    return np.hypot(others, np.expm1(forward.target_logit - log_normaliser))


def clip_hidden(clip_norm, dhidden, squared_x, scale):
    """Scale down rows of `dhidden`, gradients of scale times a loss, so that the loss's by E have at most norm `clip_norm`."""
    norms = np.sqrt(np.einsum("ij,ij->i", dhidden, dhidden, dtype=np.float64) * squared_x)
    factors = np.minimum(1.0, clip_norm * scale / np.maximum(norms, TINY))
    dhidden *= factors[:, None].astype(dhidden.dtype)


def squared_rows(a):
    """(n_rows,) squared norms of the rows of an array or a kernels.batch.Batch without duplicates, in float64."""
    if isinstance(a, np.ndarray):
        return np.einsum("ij,ij->i", a, a, dtype=np.float64)
    rows = np.repeat(np.arange(len(a.indptr) - 1), np.diff(a.indptr))
    return np.bincount(rows, np.square(a.data, dtype=np.float64), len(a.indptr) - 1)
