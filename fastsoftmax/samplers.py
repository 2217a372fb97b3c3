"""Candidate samplers: random classes and how often each was to be expected, for sampled losses.

Samplers hold no random state: the caller passes the generator, so draws never depend on threads.
"""

import copy

import numpy as np

from fastsoftmax import _validation
from fastsoftmax._mixed import InBatch, Mixed
from fastsoftmax._multi_index import MultiIndex
from fastsoftmax._sampler import Sampler
from fastsoftmax._unigram import Custom, LearnedUnigram, Unigram
from fastsoftmax.sampled import LOSSES

__all__ = ["Custom", "InBatch", "LearnedUnigram", "LogUniform", "Mixed", "MultiIndex", "Uniform", "Unigram", "make"]

# that samplers take in training at most, by name; the alias table included: the last batch of an epoch may be too small
BYTES_PER_CLASS = {"unigram": 24, "learned_unigram": 41, "in_batch": 24, "multi_index": 71}


NAMES = ("uniform", "log_uniform", "unigram", "learned_unigram", "in_batch", "multi_index")


def make(sampler, counts, loss="sampled_softmax"):
    """The sampler of this name over the classes of `counts`, or a copy of `sampler`, which may learn.

    Parameters
    ----------
    sampler : {"uniform", "log_uniform", "unigram", "learned_unigram", "in_batch", "multi_index"} or sampler
        A name, or a ready sampler over exactly ``len(counts)`` classes.
    counts : array-like of shape (n_classes,)
        How often each class was seen. "uniform" and "learned_unigram" use its length alone; "log_uniform" warns where
        it rises, by more than chance.
    loss : one of fastsoftmax.sampled.LOSSES
        Logistic ones need a sampler that tells, of any class, how often it was to be expected.
    """
    if not isinstance(sampler, str):
        is_logistic = LOSSES[loss].is_logistic
        sampler = _validation.check_sampler("sampler", sampler, len(counts), loss if is_logistic else None)
        return copy.deepcopy(sampler) if isinstance(sampler, Sampler) else _Foreign(sampler, is_logistic)
    makers = {
        "uniform": lambda: Uniform(len(counts)),
        "log_uniform": lambda: _log_uniform(np.asarray(counts)),
        "unigram": lambda: Unigram(counts),
        "learned_unigram": lambda: LearnedUnigram(len(counts)),
        "in_batch": lambda: InBatch(counts),
        "multi_index": lambda: MultiIndex(len(counts)),
    }
    return makers[_validation.check_option("sampler", sampler, NAMES)]()


def _log_uniform(counts):
    """It warns where counts rise by more than chance explains: those of a random part of all rows always rise somewhere."""
    chance = 4 * np.sqrt(counts[1:] + counts[:-1])
    return LogUniform(len(counts), counts if (np.diff(counts) > chance).any() else None)


def draws_negatives(sampler):
    """Whether `n_negatives` is of any use to a sampler, or the name of one."""
    return not (isinstance(sampler, InBatch) or (isinstance(sampler, str) and sampler == "in_batch"))


class Uniform(Sampler):
    """Every class with the same probability.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    """

    def __init__(self, n_classes):
        self.n_classes = self._n_drawable = _validation.check_int("n_classes", n_classes, minimum=1)

    def __repr__(self):
        return f"Uniform({self.n_classes})"

    def probabilities(self):
        return np.full(self.n_classes, 1.0 / self.n_classes)

    def _draw(self, n, rng):
        return rng.integers(self.n_classes, size=n)

    def _probability(self, class_ids):
        return np.full(len(class_ids), 1.0 / self.n_classes)


class LogUniform(Sampler):
    """Approximately Zipfian: class k has probability ``log((k + 2) / (k + 1)) / log(n_classes + 1)``.

    For classes numbered by falling frequency. The distribution of TensorFlow's ``log_uniform_candidate_sampler``.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    counts : array-like of shape (n_classes,), optional
        How often each class was seen, if that is to be checked; the probabilities do not depend on it.

    Warns
    -----
    UserWarning
        If `counts` are given and a class was seen more often than the one before it.
    """

    def __init__(self, n_classes, counts=None):
        self.n_classes = self._n_drawable = _validation.check_int("n_classes", n_classes, minimum=1)
        if counts is not None:
            _validation.check_falling("counts", counts, self.n_classes)
        self._log_range = np.log1p(self.n_classes)

    def __repr__(self):
        return f"LogUniform({self.n_classes})"

    def probabilities(self):
        return self._probability(np.arange(self.n_classes))

    def _draw(self, n, rng):
        class_ids = np.expm1(rng.random(n) * self._log_range).astype(np.int64)
        return np.minimum(class_ids, self.n_classes - 1, out=class_ids)  # wherever expm1 rounds up

    def _probability(self, class_ids):
        return np.log1p(1.0 / (class_ids + 1)) / self._log_range


class _Foreign:
    """A user's object with nothing but `draw` and `n_classes`, and for logistic losses `log_expected_counts`, in training."""

    follows_model = False
    _n_batches = 0

    def __init__(self, sampler, is_logistic):
        self.sampler, self.is_logistic = sampler, is_logistic

    def draw_for(self, n, rng, target, hidden=None):
        class_ids, log_expected = self.sampler.draw(n, rng)
        class_ids = _validation.check_class_ids("the sampler's class_ids", class_ids, self.sampler.n_classes)
        name, log_expected_targets = "the sampler's log_expected_counts", None
        log_expected = _validation.check_log_expected_counts(name, log_expected, class_ids.shape, "class_ids")
        if self.is_logistic:
            log_expected_targets = self.sampler.log_expected_counts(target, n)
            log_expected_targets = _validation.check_log_expected_counts(
                name, log_expected_targets, target.shape, "target"
            )
        return class_ids, log_expected, log_expected_targets

    def observe(self, target):
        """It learns nothing."""

    def state(self):
        return self.sampler.state()

    def restore(self, state):
        self.sampler.restore(state)
