"""What all rows of a sparse term share: the mass of all classes at their biases, and the classes by falling bias."""

from functools import cached_property

import numpy as np

from fastsoftmax.kernels import pairs_bias
from fastsoftmax.passes.row_losses import SOFTMAX, negative_losses
from fastsoftmax.runtime import threads

EXACT_BELOW = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-3}  # share of the base's mass; see PairsForward
BIAS_WORK = 16  # multiply-adds that the bias of a class costs
COMPARED = 1 << 16  # numbers that are compared at a time, in a cache


class Base:
    """The mass of all classes at their biases, exp(shift) * mass, and the classes by falling bias once they are needed.

    For a binary loss, the mass is the sum of the losses of classes that a row does not have. A Base is valid as long as `bias`
    does not change. Several Python threads may use it at once.
    """

    def __init__(self, bias, n_threads=1, loss=SOFTMAX):
        self.bias, self.loss = bias, loss
        n_threads = threads.for_work(n_threads, BIAS_WORK * len(bias))
        self._ranking = None
        self.pairs = np.empty((len(bias), 2), bias.dtype)
        if loss.binary >= 0:
            self.pairs[:, 0], self.pairs[:, 1] = bias, negative_losses(loss, bias)
            self.mass = float(self.pairs[:, 1].sum(dtype=np.float64))
            return
        with np.errstate(invalid="ignore"):
            self.max = float(bias.max())
        self.shift = 0.0 if self.max == -np.inf else self.max
        self.mass = pairs_bias.write_base(bias, self.shift, self.pairs, n_threads)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.least_exact = float(self.shift + np.log(self.mass * EXACT_BELOW[bias.dtype]))

    def holds(self, bias):
        """Whether it is the Base of `bias`, element by element."""
        if len(bias) != len(self.pairs) or bias.dtype != self.pairs.dtype:
            return False
        starts = range(0, len(bias), COMPARED)
        return all(np.array_equal(bias[i : i + COMPARED], self.pairs[i : i + COMPARED, 0]) for i in starts)

    def beside(self, class_ids):
        """Copies of `pairs` of these classes."""
        both = self.pairs.view(np.result_type(self.pairs, 1j))[:, 0]  # as one number: six times as fast
        return both.take(class_ids).view(self.pairs.dtype).reshape(-1, 2)

    def ranking(self, n):
        """A Ranking of `n` or more classes, or of all."""
        ranking, n_classes = self._ranking, len(self.bias)
        n_known = 0 if ranking is None else len(ranking.ids)
        if ranking is None or n_known < min(n, n_classes):
            ranking = self._ranking = Ranking(self.bias, min(n_classes, max(n, 2 * n_known)))
        return ranking

    def ranked_of(self, eligible, n):
        """The `n` best of the `eligible` classes as a Ranking has them, and as many more as any row excludes."""
        n += eligible.most_excluded
        if eligible.class_ids is None:
            return self.ranking(n).ids
        return eligible.class_ids[_best(self.bias[eligible.class_ids], n)].astype(np.int32)


class Ranking:
    """The `n` classes with the largest biases, `ids`, in falling order; of equal ones, the smaller id comes first."""

    def __init__(self, bias, n):
        self.bias, self.ids = bias, _best(bias, n).astype(np.int32)

    @cached_property
    def beyond(self):
        """(rank_of, mass, shift): the rank of each class among the ranked ones, and exp(shift) * mass of all others."""
        n_ranked = len(self.ids)
        rank_of = np.full(len(self.bias), n_ranked, np.int32)
        rank_of[self.ids] = np.arange(n_ranked)
        others = self.bias[rank_of == n_ranked]
        shift = float(others.max(initial=-np.inf))
        if shift == -np.inf:
            return rank_of, 0.0, 0.0
        return rank_of, float(np.exp(others - np.float64(shift)).sum()), shift


def _best(values, n):
    """Positions of the `n` largest values, or of all, in falling order; of equal ones, the first comes first."""
    least = np.partition(values, len(values) - n)[len(values) - n] if 0 < n < len(values) else -np.inf
    best = np.flatnonzero(values > least)
    best = np.append(best, np.flatnonzero(values == least)[: n - len(best)])
    return best[np.argsort(-values[best], kind="stable")]
