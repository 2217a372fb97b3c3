"""The gradient of a loss with respect to the logits of a batch, in the few numbers a row that the kernels make it from."""

from typing import NamedTuple

import numpy as np


class LogitGradient(NamedTuple):
    """dloss / dz[i, k] = scale[i] p[i, k] - prior_scale[i] prior[k], but for the targets.

    p is exp(z - lse), or weight[k] times the derivative of a binary loss.
    """

    scale: np.ndarray  # (n_rows,) float64
    lse: np.ndarray | None  # (n_rows,) float64; None for binary losses
    target: np.ndarray  # (n_targets,) float64
    prior: np.ndarray | None = None  # (n_candidates,)
    prior_scale: np.ndarray | None = None
    target_scale: np.ndarray | None = None  # (n_targets,) factors of the penalties on the targets' weights


def smoothed(gradient, target_logit, targets, scale, scale_p, prior_scale, prior):
    """The LogitGradient of a softmax with one target a row where it is scale_p p - scale [target] - prior_scale prior."""
    rows = targets.rows
    target = gradient.target + (scale_p - scale)[rows] * np.exp(target_logit - gradient.lse[rows])
    target -= prior_scale[rows] * prior[targets.class_ids]
    return gradient._replace(scale=scale_p, target=target, prior=prior, prior_scale=prior_scale)
