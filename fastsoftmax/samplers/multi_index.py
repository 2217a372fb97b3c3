"""A sampler that follows the model: classes that are likely for a batch are drawn more often."""

import functools
import warnings

import numpy as np

import fastsoftmax.validation as v
from fastsoftmax.runtime import threads
from fastsoftmax.samplers.base import Sampler

ROWS_TO_LEARN = 50_000  # classes that the centres are found from, at most
ITERATIONS = 8  # of k-means, the first time; later it goes on from the centres before
FIRST_STEPS = 16  # between the first two refreshes
SMALLEST_TOTAL = 1e-200  # of a row over cells, relative to the best of each half: below it digits are lost
CHUNK_CLASSES = 1 << 16  # whose weights are copied at a time, to find their clusters
CHUNK_SCORES = 1 << 20  # rows times cells, where each cell is gone through


class MultiIndex(Sampler):
    """Classes drawn in proportion to a coarse model of their probability for the rows of the batch.

    The output weights are cut into two halves, and each half into `n_codes` clusters: an inverted multi-index of
    ``n_codes**2`` cells. A cell's logit for a row is that of its two centres; within a cell class k has the share of
    ``exp(bias[k])``. A batch draws from the mean of its rows' distributions over cells, so that all rows share the classes
    drawn. Expected counts are exact for whatever centres there are; only how well they fit depends on the model.

    `draw`, `probabilities` and `log_expected_counts` know no batch: theirs is the distribution at a hidden layer of zeros,
    ``softmax(bias)``, before `follow` the uniform one. Combine it by `Mixed` with a sampler that any class has a fair chance
    in, in case the clusters are wrong about it.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    n_codes : int
        Clusters of each half, at most 256.
    refresh_every : int
        Steps between two times that the clusters are made anew; while the model is new, as many as there were so far (at
        least 16). It takes about ``n_classes * n_codes * hidden_size``
        multiply-adds.

    Notes
    -----
    Takes 26 bytes a class, and about 45 more while the clusters are made. A draw is O(log n_classes). As long as all weights
    are zeros, there is one cell; weights or a bias that are not finite are not taken up.

    The proposal is MIDX's [1]_ with the popularity of a class for its share of a cell, for a batch instead of a row: the mean
    over rows of a product over codes is a matrix product, so it costs ``n_rows * n_codes**2`` multiply-adds.

    References
    ----------
    .. [1] J. Chen, J. Zhang, X. Huang, Y. Yang, D. Lian and E. Chen, "Adaptive sampled softmax with inverted multi-index:
       methods, theory and applications", 2025. arXiv:2501.08563
    """

    follows_model = True
    bytes_per_class = 71

    def __init__(self, n_classes, n_codes=32, refresh_every=500):
        self.n_classes = self._n_drawable = v.check_int("n_classes", n_classes, minimum=1)
        self.n_codes = v.check_int("n_codes", n_codes, minimum=1, maximum=256)
        self.refresh_every = v.check_int("refresh_every", refresh_every, minimum=1)
        self._centres = [None, None]
        self._steps = self._next = 0  # steps since the model was followed first, and the one of the next refresh
        self._fill(np.zeros(self.n_classes, np.uint16), np.ones(self.n_classes))

    def __repr__(self):
        return f"MultiIndex({self.n_classes}, n_codes={self.n_codes}, refresh_every={self.refresh_every})"

    def follow(self, V, bias):
        if self._steps >= self._next and _is_finite(V) and _is_finite(bias):
            self._index(V, bias)
            self._next = self._steps + min(max(self._steps, FIRST_STEPS), self.refresh_every)
        self._steps += 1

    def state(self):
        centres = {str(h): a for h, a in enumerate(self._centres) if a is not None}
        state = {"steps": self._steps, "next": self._next, "centres": centres}
        return state | {"cells": self._cells, "weights": self._weights}

    def restore(self, state):
        self._steps, self._next = state["steps"], state["next"]
        self._centres = [np.array(state["centres"][h]) if h in state["centres"] else None for h in "01"]
        self._fill(np.array(state["cells"]), np.array(state["weights"]))

    def _index(self, V, bias):
        """Cells of all classes, by the nearest centre of each half."""
        middle = V.shape[1] // 2
        codes = [self._cluster(h, half) for h, half in enumerate((V[:, :middle], V[:, middle:]))]
        weights = bias - bias.max(initial=-np.inf)
        self._fill(codes[0] * np.uint16(self.n_codes) + codes[1], np.exp(weights, dtype=np.float64))

    def _fill(self, cells, weights):
        """The classes of each cell, side by side, with running sums of their shares: each cell's add up to 1."""
        self._cells, self._weights = cells, weights
        self._order = np.argsort(cells, kind="stable")
        counts = np.bincount(cells, minlength=self.n_codes**2)
        self._cell_ptr = np.concatenate([[0], np.cumsum(counts)])
        self._mass = np.bincount(cells, weights=weights, minlength=self.n_codes**2)
        mass = np.where(self._mass > 0, self._mass, 1.0)
        self._ends = np.cumsum((weights / mass[cells])[self._order])

    def _cluster(self, h, half):
        """The nearest of the centres of half `h`, which move to where the classes are now."""
        if not half.any():  # before training, or of no columns
            self._centres[h] = np.zeros((1, half.shape[1]), half.dtype)
            return np.zeros(len(half), np.uint16)
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        sample = np.ascontiguousarray(half[:: -(-len(half) // ROWS_TO_LEARN)])
        n_codes = min(self.n_codes, len(sample))
        init, n_iter = self._centres[h], 2
        if init is None or len(init) != n_codes:
            init, n_iter = sample[:: len(sample) // n_codes][:n_codes], ITERATIONS
        with warnings.catch_warnings(), threads.one_thread():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than centres
            means = KMeans(n_codes, init=init, n_init=1, max_iter=n_iter).fit(sample)
            self._centres[h] = means.cluster_centers_
            chunks = (half[start : start + CHUNK_CLASSES] for start in range(0, len(half), CHUNK_CLASSES))
            return np.concatenate([means.predict(np.ascontiguousarray(c)).astype(np.uint16) for c in chunks])

    def _propose(self, n, rng, target=None, hidden=None):
        cell_probability = self._mass / self._mass.sum()
        if hidden is not None and self._centres[0] is not None:
            with threads.one_blas_thread():
                cell_probability = self._cell_probabilities(hidden)
        per_weight = np.divide(cell_probability, self._mass, out=np.zeros_like(self._mass), where=self._mass > 0)
        edges = np.cumsum(cell_probability)
        cells = np.minimum(np.searchsorted(edges, rng.random(n) * edges[-1], side="right"), len(edges) - 1)
        first, last = self._cell_ptr[cells], self._cell_ptr[cells + 1] - 1
        before = np.where(first > 0, self._ends[first - 1], 0.0)
        at = np.searchsorted(self._ends, before + rng.random(n) * (self._ends[last] - before), side="right")
        class_ids = self._order[np.clip(at, first, last)]
        return class_ids, functools.partial(self._batch_counts, per_weight=n * per_weight)

    def _cell_probabilities(self, hidden):
        """The mean over rows of the probability of each cell."""
        middle = hidden.shape[1] // 2
        logits = []
        for centres, half in zip(self._centres, (hidden[:, :middle], hidden[:, middle:]), strict=True):
            logits.append(np.full((len(hidden), self.n_codes), -np.inf))
            logits[-1][:, : len(centres)] = half @ centres.T
            logits[-1] -= logits[-1].max(axis=1, keepdims=True)
        scores = np.exp(logits)
        mass = self._mass.reshape(self.n_codes, self.n_codes)
        total = np.einsum("ij,ij->i", scores[0] @ mass, scores[1])
        lost = np.flatnonzero(total < SMALLEST_TOTAL)  # rows whose best codes have no class in common
        total[lost] = np.inf
        by_cell = (mass * ((scores[0] / total[:, None]).T @ scores[1])).ravel()
        step = max(1, CHUNK_SCORES // mass.size)
        for start in range(0, len(lost), step):
            by_cell += self._by_each_cell(*(z[lost[start : start + step]] for z in logits))
        return by_cell / len(hidden)

    def _by_each_cell(self, first, second):
        """The sum over rows of the probability of each cell, for any logits of the two halves."""
        with np.errstate(divide="ignore"):
            logits = (first[:, :, None] + second[:, None, :]).reshape(len(first), -1) + np.log(self._mass)
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (scores / scores.sum(axis=1, keepdims=True)).sum(axis=0)

    def _batch_counts(self, class_ids, per_weight):
        return per_weight[self._cells[class_ids]] * self._weights[class_ids]

    def probabilities(self):
        return self._probability(slice(None))

    def _draw(self, n, rng):
        return self._propose(n, rng)[0]

    def _probability(self, class_ids):
        return self._weights[class_ids] / self._mass.sum()


def _is_finite(a):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(a.sum(dtype=np.float64))
