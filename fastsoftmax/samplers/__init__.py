"""Candidate samplers: random classes and how often each was expected, for sampled losses.

A sampler holds no random state: the caller passes the generator, so draws never depend on the number of threads. A new sampler
is a subclass of `base.Sampler` and gets its name in `named.NAMED`. May import: `validation`, `kernels`, `runtime`.
"""

from fastsoftmax.samplers.alias import Custom, LearnedUnigram, Unigram
from fastsoftmax.samplers.base import Sampler
from fastsoftmax.samplers.in_batch import InBatch
from fastsoftmax.samplers.mixed import Mixed
from fastsoftmax.samplers.multi_index import MultiIndex
from fastsoftmax.samplers.named import NAMED, kind_of, make
from fastsoftmax.samplers.uniform import LogUniform, Uniform

__all__ = [
    "NAMED",
    "Custom",
    "InBatch",
    "LearnedUnigram",
    "LogUniform",
    "Mixed",
    "MultiIndex",
    "Sampler",
    "Uniform",
    "Unigram",
    "kind_of",
    "make",
]


def __dir__():
    return sorted(__all__)  # what tab completion shows
