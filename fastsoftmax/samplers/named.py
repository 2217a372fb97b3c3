"""The samplers that have a name, and how training makes one of a name or of an object."""

import copy

import fastsoftmax.validation as v
from fastsoftmax.samplers.alias import LearnedUnigram, Unigram
from fastsoftmax.samplers.base import Sampler
from fastsoftmax.samplers.foreign import Foreign
from fastsoftmax.samplers.in_batch import InBatch
from fastsoftmax.samplers.multi_index import MultiIndex
from fastsoftmax.samplers.uniform import LogUniform, Uniform

NAMED = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "unigram": Unigram,
    "learned_unigram": LearnedUnigram,
    "in_batch": InBatch,
    "multi_index": MultiIndex,
}


def kind_of(sampler):
    """What says how a sampler works: the class where it is given by name, else the object itself."""
    if isinstance(sampler, str):
        return NAMED[v.check_option("sampler", sampler, tuple(NAMED))]
    return sampler if isinstance(sampler, Sampler) else Foreign


def make(sampler, counts, *, logistic_loss=None):
    """The sampler of this name over the classes of `counts`, or a copy of `sampler`, which may learn.

    Parameters
    ----------
    sampler : one of NAMED, or a sampler
        A name, or a ready sampler over exactly ``len(counts)`` classes.
    counts : array-like of shape (n_classes,)
        How often each class was seen. "uniform" and "learned_unigram" use its length alone; "log_uniform" warns where
        it rises, by more than chance.
    logistic_loss : str, optional
        The name of the loss where it is a sum of logistic ones: these need a sampler that tells, of any class, how often it
        was to be expected.
    """
    if isinstance(sampler, str):
        return kind_of(sampler).from_counts(counts)
    sampler = v.check_sampler("sampler", sampler, len(counts), logistic_loss)
    return (
        copy.deepcopy(sampler)
        if isinstance(sampler, Sampler)
        else Foreign(sampler, is_logistic=logistic_loss is not None)
    )
