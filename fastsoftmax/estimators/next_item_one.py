"""One history by itself: the best items by the mixture of a NextItemModel, in few calls, whose time is that of the kernels."""

import numpy as np

from fastsoftmax.estimators.next_item_mixture import bucket_of
from fastsoftmax.kernels import low_rank
from fastsoftmax.model import unit_rows
from fastsoftmax.passes.one_row import NONE_EXCLUDED, Mixing

NO_IDS = np.empty(0, np.int64)  # features stand for themselves
MOST_BEST = 1000  # more best items are found as those of many histories are


class OneByOne:
    """Answers single histories by a Mixture, whose arrays must not change meanwhile. Several threads may use it at once.

    It gives what `Mixture.topk` gives, up to rounding: the network's probabilities of all items lie in an array, to which the
    experts add theirs, and one pass finds the best. It keeps the bucket of each item and, for each thread that asks at once,
    a number for each item and each class of the network.
    """

    def __init__(self, mixture):
        network, self._mixture = mixture.network, mixture
        model = network.classifier._model
        self._features, self._scale = network.features, model.scale
        self._E, self._V = np.ascontiguousarray(model.E), np.ascontiguousarray(model.V)
        self._bias = model.bias
        self._items = network.classifier.classes_.astype(np.int64)
        self._bucket, self._weights = bucket_of(mixture.counts), mixture.weights.tolist()
        self._spare = []  # of threads that are not in `topk` now

    def topk(self, items, k, excluded, n_threads):
        """The k best items, (k,) int64, and their log-probabilities, float64; None where fewer than k have a probability.

        Parameters
        ----------
        items : list of codes of items, the oldest first
        k : int, at most MOST_BEST
        excluded : set of codes of items that may not be among the best
        n_threads : resolved number of threads
        """
        mixing = self._taken()
        share = 1.0  # of the network, which speaks for those who know nothing of the history
        weights = self._weights[self._bucket[items[-1]] if items else 0]
        for expert, weight in zip(self._mixture.experts.values(), weights, strict=True):
            votes = expert.of_one(items) if weight else None
            if votes is not None:
                share -= weight
                mixing.add(*votes, weight)
        barred = np.array(sorted(excluded), np.int64) if excluded else NONE_EXCLUDED
        best, proba = mixing.best(self._hidden(items), share, k, n_threads, barred)
        self._spare.append(mixing)  # not where anything was raised: it is clean
        return (best, np.log(proba)) if proba[-1] > 0 else None

    def _hidden(self, items):
        """The hidden layer of the network, (hidden_size,)."""
        columns, values = self._features.row(items)
        hidden = np.empty((1, self._E.shape[1]), self._E.dtype)
        rows = np.array([0, len(columns)], np.intp), columns, values.astype(self._E.dtype, copy=False)
        low_rank.project(*rows, NO_IDS, self._E, hidden, 1)
        if self._scale is not None:
            unit_rows.scale_rows(hidden, self._scale, 1)
        return hidden[0]

    def _taken(self):
        """A Mixing that no other thread has."""
        try:
            return self._spare.pop()
        except IndexError:
            return Mixing(self._V, self._bias, self._items, self._mixture.n_items)
