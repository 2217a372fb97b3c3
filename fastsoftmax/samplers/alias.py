"""Samplers of any probabilities, which draw from an alias table."""

import functools

import numpy as np

from fastsoftmax.kernels import alias as alias_table
from fastsoftmax.samplers.base import Sampler
from fastsoftmax.validation import check_class_ids, check_counts, check_real, check_size

_SMALLEST_PROBABILITY = 1e-290  # so that waiting times, of the order of its inverse, and their sums stay finite


class AliasSampler(Sampler):
    """Draws from `_probabilities`, which a subclass sets by `_set_weights`."""

    @classmethod
    def from_counts(cls, counts):
        return cls(counts)

    def _set_weights(self, weights):
        """Make probabilities of float64 weights of at most 1 each; the array is kept and normalised in place."""
        weights /= weights.sum()
        weights[weights < _SMALLEST_PROBABILITY] = 0.0
        weights.flags.writeable = False
        self._probabilities = weights
        self._n_drawable = np.count_nonzero(weights)

    @functools.cached_property
    def _table(self):
        table = np.empty(self.n_classes, alias_table.BUCKET)
        alias_table.build(self._probabilities, table)
        return table

    def probabilities(self):
        return self._probabilities

    def _draw(self, n, rng):
        class_ids = rng.integers(self.n_classes, size=n)
        alias_table.draw(self._table, rng.random(n), class_ids)
        return class_ids

    def _probability(self, class_ids):
        return self._probabilities.take(class_ids)


class Unigram(AliasSampler):
    """Class k has a probability proportional to ``counts[k]**power``; drawn from an alias table.

    It takes 24 bytes a class, 16 of them from the first draw on.

    Parameters
    ----------
    counts : array-like of shape (n_classes,), real
        How often each class was seen: finite and non-negative, at least one positive. A class with count 0 is never
        drawn, whatever `power`, and has a log expected count of -inf; so has one whose probability is below 1e-290.
    power : float
        0 makes the seen classes equally likely, 1 proportional to their counts; 0.75 is word2vec's choice [1]_.

    References
    ----------
    .. [1] T. Mikolov, I. Sutskever, K. Chen, G. Corrado and J. Dean, "Distributed representations of words and phrases
       and their compositionality", NeurIPS 2013. arXiv:1310.4546
    """

    depends_on_counts = True
    bytes_per_class = 24

    def __init__(self, counts, power=0.75):
        self.power = check_real("power", power, minimum=0)
        self._set_weights(scaled_powers(check_counts("counts", counts), self.power))
        self.n_classes = len(self._probabilities)

    def __repr__(self):
        return f"Unigram(<{self.n_classes} counts>, power={self.power})"


class LearnedUnigram(AliasSampler):
    """`Unigram` with counts that are learned in training: each class starts at one and gains one each time it is seen.

    It takes 32 bytes a class, 16 of them from the first draw on, and 9 more while the table is rebuilt.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    power : float
        As in `Unigram`.

    Notes
    -----
    `observe` counts. The table is rebuilt whenever the sum of all counts, which is `n_classes` at first, has grown by a
    quarter since the last time. So at least ``n_classes / 4`` classes are observed between two rebuilds, which makes a
    rebuild O(1) for each of them, and the table never lacks more than a fifth of the sum. Draws, probabilities and
    expected counts are always those of the table in use, so they agree exactly.

    TensorFlow's ``learned_unigram_candidate_sampler`` has the same counts, with a power of 1. It draws from a tree of
    sums, which is always up to date, but takes O(log n_classes) and a lock for each draw and each update.
    """

    bytes_per_class = 41

    @classmethod
    def from_counts(cls, counts):
        return cls(len(counts))

    def __init__(self, n_classes, power=0.75):
        self.n_classes = check_size("n_classes", n_classes, 16)
        self.power = check_real("power", power, minimum=0)
        self._counts = np.ones(self.n_classes, np.int64)
        self._total = self.n_classes
        self._learn()

    def __repr__(self):
        return f"LearnedUnigram({self.n_classes}, power={self.power})"

    def observe(self, target):
        target = check_class_ids("target", target, self.n_classes)
        if not self._counts.flags.writeable:  # from a memory-mapped pickle: np.add.at would write to it all the same
            self._counts = self._counts.copy()
            vars(self).pop("_table", None)
        np.add.at(self._counts, target, 1)
        self._total += len(target)
        if self._total >= self._next_total:
            self._learn()

    def state(self):
        numbers = {"total": self._total, "next_total": self._next_total}
        return numbers | {"counts": self._counts, "probabilities": self._probabilities}

    def restore(self, state):
        self._total, self._next_total = state["total"], state["next_total"]
        self._counts, self._probabilities = np.array(state["counts"]), np.array(state["probabilities"])
        self._n_drawable = np.count_nonzero(self._probabilities)
        vars(self).pop("_table", None)

    def _learn(self):
        self._set_weights(scaled_powers(self._counts, self.power))
        if "_table" in vars(self):  # a table that was drawn from is kept up to date
            alias_table.build(self._probabilities, self._table)
        self._next_total = 1.25 * self._total


class Custom(AliasSampler):
    """Any probabilities, drawn from an alias table.

    It takes 24 bytes a class, 16 of them from the first draw on.

    Parameters
    ----------
    probabilities : array-like of shape (n_classes,), real
        Finite and non-negative, at least one positive; they are normalised to a sum of 1. A class whose probability is 0 or
        below 1e-290 is never drawn and has a log expected count of -inf.
    """

    def __init__(self, probabilities):
        self._set_weights(scaled_powers(check_counts("probabilities", probabilities), 1.0))
        self.n_classes = len(self._probabilities)

    def __repr__(self):
        return f"Custom(<{self.n_classes} probabilities>)"


def scaled_powers(counts, power):
    """The positive ones of `counts` to the `power`, as a new float64 array; they are scaled first, so that none overflows."""
    weights = np.divide(counts, counts.max(), dtype=np.float64)
    if power != 1:
        np.power(weights, power, out=weights, where=weights > 0)
    return weights
