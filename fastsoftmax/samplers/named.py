"""The samplers that have a name, and what training makes of a name or of an object."""

import copy

from fastsoftmax.samplers.alias import LearnedUnigram, Unigram
from fastsoftmax.samplers.base import Sampler
from fastsoftmax.samplers.foreign import Foreign
from fastsoftmax.samplers.in_batch import InBatch
from fastsoftmax.samplers.multi_index import MultiIndex
from fastsoftmax.samplers.uniform import LogUniform, Uniform
from fastsoftmax.validation import check_option, check_sampler

NAMED = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "unigram": Unigram,
    "learned_unigram": LearnedUnigram,
    "in_batch": InBatch,
    "multi_index": MultiIndex,
}


def kind_of(sampler, *, name="sampler"):
    """What has the attributes of NegativeSource that say how a sampler works.

    For a name it is the class, for a sampler of ours the object itself, and for any other object `Foreign`.
    """
    if isinstance(sampler, str):
        return NAMED[check_option(name, sampler, tuple(NAMED))]
    return sampler if isinstance(sampler, Sampler) else Foreign


def make(sampler, counts, *, logistic_loss=None):
    """The sampler of this name over the classes of `counts`, or a copy of `sampler`, which may learn.

    Parameters
    ----------
    sampler : one of NAMED, or a sampler
        A name, or a ready sampler over exactly ``len(counts)`` classes.
    counts : array-like of shape (n_classes,)
        How often each class was seen. "uniform" and "learned_unigram" use its length alone; "log_uniform" warns if it
        rises by more than chance.
    logistic_loss : str, optional
        The name of the loss if it is a sum of logistic ones. Such a loss needs a sampler that tells how often any class was
        expected.
    """
    if isinstance(sampler, str):
        return kind_of(sampler).from_counts(counts)
    sampler = check_sampler("sampler", sampler, len(counts), logistic_loss)
    if isinstance(sampler, Sampler):
        return copy.deepcopy(sampler)
    return Foreign(sampler, is_logistic=logistic_loss is not None)
