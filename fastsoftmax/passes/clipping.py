"""A bound on what one row does to the weights: its gradient is scaled down to a norm (as in Abadi et al. 2016).

There are two gradients, and each has its own bound: that of the output weights W, V and bias, the outer product of the row's
dlogits and its inputs (1, x, h), and that of the embedding E, the outer product of x and dhidden. So both norms are products.
The norm of dlogits is not known before the pass that uses it, but a bound is. For a softmax p, the elements other than the
targets' are positive and add up to 1 - p_y, if y is the only target, whose element is p_y - 1: so the norm is at most
sqrt(2) (1 - p_y), and at least half of that. For binary losses, the sum of the losses bounds it.
"""

import numpy as np

from fastsoftmax.passes.row_losses import LOGISTIC

TINY = np.finfo(np.float64).tiny


def row_factors(clip_norm, forward, squared_inputs, **options):
    """(n_rows,) factors of at most 1 that bring each row's gradient of the output weights to a norm of at most `clip_norm`.

    forward : passes.tiles.Forward or passes.pairs.PairsForward
    squared_inputs : (n_rows,) squared norms of the inputs of the output weights
    options : log_normaliser, as passes.tiles.Forward.backward takes it
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.minimum(1.0, clip_norm / np.maximum(_dlogits_bound(forward, **options), TINY)
                          / np.maximum(np.sqrt(squared_inputs), TINY))  # fmt: skip


def _dlogits_bound(forward, **options):
    gradient = forward.logit_gradient(np.ones(len(forward.nll)), **options)
    if gradient.lse is not None:
        negatives = gradient.scale * np.exp(forward.rest - gradient.lse)
        of_targets = forward.shard.add(forward.row_targets.sums(gradient.target**2))
        return np.hypot(negatives, np.sqrt(of_targets))
    if forward.loss is LOGISTIC:
        return forward.nll  # each |dlogit| is at most its logit's share of the loss
    most = max(
        forward.shard.everyone(forward.row_targets).mass.max(initial=0.0),
        1.0 if forward.weight is None else forward.weight.max(initial=0.0),
    )
    return 2.0 * np.sqrt(most * forward.nll)  # the square of a dlogit is 4 w times its logit's share, w loss


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
