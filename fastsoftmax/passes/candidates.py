"""The classes that take part in a sampled loss, and what the passes over the tiles need to know of them."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels import candidates as candidates_kernel
from fastsoftmax.passes.row_losses import RowLoss
from fastsoftmax.passes.tiles import Rounding


class Kind(NamedTuple):
    """What makes one loss of candidate sampling differ from another."""

    is_logistic: bool  # the loss is a sum of logistic losses, else one softmax
    is_corrected: bool  # log expected counts are subtracted from the logits of negatives and, if logistic, of targets
    removes_hits: bool  # by default, a row's own target is not among its negatives


KINDS = {
    "sampled_softmax": Kind(is_logistic=False, is_corrected=True, removes_hits=True),
    "nce": Kind(is_logistic=True, is_corrected=True, removes_hits=False),
    "sampled_logistic": Kind(is_logistic=True, is_corrected=True, removes_hits=True),
    "negative_sampling": Kind(is_logistic=True, is_corrected=False, removes_hits=True),
}


class Candidates:
    """The classes that take part in a sampled loss; each is one column of the logits.

    Where a column is a negative, its `offset` is added to its logit. A target that was not drawn has the offset -inf, so it is
    no row's negative. A class that was drawn c times has the weight c; for softmax, log c is part of its offset instead.

    Parameters
    ----------
    target : (n_targets,) integers, the targets of all rows
    class_ids : (n,) int64
        The drawn classes, which all rows share.
    log_expected_counts : (n,) float, or None where the loss is not corrected
    remove_accidental_hits : bool or None
        Whether a row's own target is left out of its negatives; None: as `loss` does by default.
    loss : one of KINDS

    Attributes
    ----------
    class_ids : (n_candidates,) int64, ascending
    target : (n_targets,) int32, the column of each target
    offset, weight, keeps_hits, n_own, target_shift : as tiles.Forward takes them
    """

    n_own = 0
    target_shift = 0.0

    def __init__(self, target, class_ids, log_expected_counts, remove_accidental_hits=None, loss="sampled_softmax"):
        kind, expected = KINDS[loss], None
        if kind.is_corrected:
            expected = np.ascontiguousarray(log_expected_counts, np.float64)
        self.class_ids, self.target, counts, self.offset = candidates_kernel.unite(class_ids, target, expected)
        self.weight = counts if kind.is_logistic else None
        self.keeps_hits = not (kind.removes_hits if remove_accidental_hits is None else remove_accidental_hits)
        if not kind.is_logistic:
            self.offset += np.log(np.maximum(counts, 1.0))

    def options(self):
        """The arguments that `tiles.Forward` takes beside terms and targets."""
        return {name: getattr(self, name) for name in ("offset", "weight", "keeps_hits", "n_own", "target_shift")}


class Estimate(NamedTuple):
    """What a training step estimates where it does not compute it exactly."""

    candidates: Candidates | None = None  # they stand for all classes
    rounding: Rounding | None = None  # it rounds small probabilities in the gradient
    loss: RowLoss | None = None  # None: softmax, or logistic where candidates have weights
    normaliser: object | None = None  # training.normaliser.RunningNormaliser, in place of the gradient's log-sum-exps


EXACT = Estimate()
