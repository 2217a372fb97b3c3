"""Losses of candidate sampling."""

from typing import NamedTuple


class Loss(NamedTuple):
    """What makes one loss of candidate sampling differ from another."""

    is_logistic: bool  # a sum of logistic losses, else one softmax
    is_corrected: bool  # logits less log expected counts in the draw: of the negatives and, if logistic, the targets
    removes_hits: bool  # by default: a row's own target is not among its negatives


LOSSES = {
    "sampled_softmax": Loss(is_logistic=False, is_corrected=True, removes_hits=True),
    "nce": Loss(is_logistic=True, is_corrected=True, removes_hits=False),
    "sampled_logistic": Loss(is_logistic=True, is_corrected=True, removes_hits=True),
    "negative_sampling": Loss(is_logistic=True, is_corrected=False, removes_hits=True),
}
