"""The losses of a row: what each makes of the logits of the row's targets and of a sum over all its other classes.

The passes sum up the other classes, the negatives, and tell the logits of the targets apart; so what is here goes for dense
passes and for those over pairs. With z the logits, t the targets and m their masses, the losses are

    SOFTMAX          sum_t m_t (log sum_k e^{z_k} - z_t)
    DECOUPLED        sum_t m_t log(1 + Z e^{-z_t})                      Z = sum over the negatives of e^{z_k}
    LOGISTIC         sum_t m_t log(1 + e^{-z_t}) + sum over the negatives of log(1 + e^{z_k})
    SQUARED_HINGE    sum_t m_t max(0, 1 - z_t)^2 + sum over the negatives of max(0, 1 + z_k)^2

A row with one target has the same loss with DECOUPLED as with SOFTMAX. With DECOUPLED, the targets of a row do not compete:
this is the loss of Yeh et al. 2022 (arXiv:2110.06848) and of DEXML (Gupta et al. 2023, arXiv:2310.10636).
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels.one_vs_all import KINDS


class Reduced(NamedTuple):
    """The loss of each row, and its gradient.

    The gradient of a negative's logit is factor e^{z - lse}, or the derivative of its binary loss where lse is None.
    """

    nll: np.ndarray  # (n_rows,) the losses
    factor: np.ndarray | float  # (n_rows,)
    lse: np.ndarray | None  # (n_rows,)
    dlogit: np.ndarray  # (n_targets,) the gradient of the targets' logits


class RowLoss(NamedTuple):
    """A loss by its name; `reduce` computes it."""

    name: str
    binary: int  # the kernels' number of a binary loss, -1: the negatives are summed up as exponentials
    of: object  # function of (negatives, logits, targets): log-sum-exps, or sums of binary losses

    def reduce(self, negatives, logits, targets):
        """The losses and gradients as Reduced; inf is the loss of rows that lack their target."""
        reduced = self.of(negatives, logits, targets)
        if targets.lacks_one is not None:
            reduced.nll[targets.lacks_one] = np.inf
        return reduced


def _softmax(negatives, logits, targets):
    rows, mass = targets.rows, targets.mass
    if targets.is_one_each and targets.mass_is_one:
        lse = np.logaddexp(negatives, logits)
        return Reduced(np.logaddexp(0.0, negatives - logits), 1.0, lse, -np.exp(negatives - lse))
    of_targets, others = targets.log_sum_exp(logits)
    lse = np.logaddexp(negatives, of_targets)
    others = np.logaddexp(negatives[rows], others)  # all classes but the target: no cancellation where p is nearly 1
    nll = targets.sums(mass * np.logaddexp(0.0, others - logits))
    dlogit = -mass * np.exp(others - lse[rows])
    if not targets.is_one_each:
        dlogit += (targets.total[rows] - mass) * np.exp(logits - lse[rows])
    return Reduced(nll, targets.total, lse, dlogit)


def _decoupled(negatives, logits, targets):
    rows, mass = targets.rows, targets.mass
    gap = negatives[rows] - logits
    share = mass * np.exp(-np.logaddexp(0.0, -gap))
    lse = np.where(np.isneginf(negatives), 0.0, negatives)  # of no negatives, which have no gradient
    return Reduced(targets.sums(mass * np.logaddexp(0.0, gap)), targets.sums(share), lse, -share)


def _logistic(negatives, logits, targets):
    nll = negatives + targets.sums(targets.mass * np.logaddexp(0.0, -logits))
    return Reduced(nll, 1.0, None, -targets.mass * np.exp(-np.logaddexp(0.0, logits)))


def _squared_hinge(negatives, logits, targets):
    gap = np.maximum(0.0, 1.0 - logits)
    return Reduced(negatives + targets.sums(targets.mass * gap**2), 1.0, None, -2.0 * targets.mass * gap)


SOFTMAX = RowLoss("softmax", -1, _softmax)
DECOUPLED = RowLoss("decoupled", -1, _decoupled)
LOGISTIC = RowLoss("logistic", KINDS["logistic"], _logistic)
SQUARED_HINGE = RowLoss("squared_hinge", KINDS["squared_hinge"], _squared_hinge)
ROW_LOSSES = {loss.name: loss for loss in (SOFTMAX, DECOUPLED, LOGISTIC, SQUARED_HINGE)}


def negative_losses(kind, logits):
    """The binary losses of classes that a row does not have, at these logits."""
    return np.logaddexp(0.0, logits) if kind is LOGISTIC else np.maximum(0.0, 1.0 + logits) ** 2
