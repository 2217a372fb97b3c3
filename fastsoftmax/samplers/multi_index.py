"""A sampler that follows the model: it draws more often the classes that are likely for a batch."""

import functools
import warnings

import numpy as np

from fastsoftmax.runtime import threads
from fastsoftmax.samplers.base import Sampler
from fastsoftmax.validation import check_int, check_size

ROWS_TO_LEARN = 50_000  # at most so many classes are clustered to find the centres
ITERATIONS = 8  # of k-means, the first time; later it starts from the last centres
FIRST_STEPS = 16  # between the first two refreshes
SMALLEST_TOTAL = 1e-200  # of a row's cells, relative to the best code of each half: a smaller sum has lost digits
CHUNK_CLASSES = 1 << 16  # classes whose weights are copied at a time to find their clusters
CHUNK_SCORES = 1 << 20  # rows times cells in memory at a time, where cells are computed one by one


class MultiIndex(Sampler):
    """Classes drawn in proportion to a coarse model of their probability for the rows of the batch.

    The output weights are cut into two halves, and each half is clustered into `n_codes` clusters: an inverted multi-index of
    ``n_codes**2`` cells. A cell's logit for a row is that of its two centres; within a cell, class k has a share
    proportional to ``exp(bias[k])``. A batch draws from the mean of its rows' distributions over cells, so that all rows
    share the classes drawn. Expected counts are exact whatever the centres are; the model only decides how well the draws
    fit it.

    `draw`, `probabilities` and `log_expected_counts` know no batch: they use the distribution at a hidden layer of zeros,
    ``softmax(bias)``, and the uniform one before `follow`. Combine the sampler by `Mixed` with one that gives every class a
    fair chance, in case the clusters misjudge a class.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    n_codes : int
        Clusters of each half, at most 256.
    refresh_every : int
        Steps between two rebuilds of the clusters; at first, as many steps as there were so far, but at least 16. A rebuild
        takes about ``n_classes * n_codes * hidden_size`` multiply-adds.

    Notes
    -----
    The sampler takes 26 bytes a class, and about 45 more while the clusters are rebuilt. A draw is O(log n_classes). As long
    as all weights are zero, there is one cell. Weights or a bias that are not finite are not followed.

    The proposal is that of MIDX [1]_, where the popularity of a class is its share of a cell, for a batch instead of a row:
    the mean over rows of a product over codes is a matrix product, so it costs ``n_rows * n_codes**2`` multiply-adds.

    References
    ----------
    .. [1] J. Chen, J. Zhang, X. Huang, Y. Yang, D. Lian and E. Chen, "Adaptive sampled softmax with inverted multi-index:
       methods, theory and applications", 2025. arXiv:2501.08563
    """

    follows_model = True
    bytes_per_class = 71

    def __init__(self, n_classes, n_codes=32, refresh_every=500):
        self.n_classes = self._n_drawable = check_size("n_classes", n_classes, 26)
        self.n_codes = check_int("n_codes", n_codes, minimum=1, maximum=256)
        self.refresh_every = check_int("refresh_every", refresh_every, minimum=1)
        self._centres = [None, None]
        self._steps = self._next = 0  # steps since `follow` was first called, and the step of the next refresh
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
        """Put each class into the cell of the nearest centre of each half."""
        middle = V.shape[1] // 2
        codes = [self._cluster(h, half) for h, half in enumerate((V[:, :middle], V[:, middle:]))]
        weights = bias - bias.max(initial=-np.inf)
        self._fill(codes[0] * np.uint16(self.n_codes) + codes[1], np.exp(weights, dtype=np.float64))

    def _fill(self, cells, weights):
        """Lay the classes of each cell side by side, with running sums of their shares, which add up to 1 in each cell."""
        self._cells, self._weights = cells, weights
        self._order = np.argsort(cells, kind="stable")
        counts = np.bincount(cells, minlength=self.n_codes**2)
        self._cell_ptr = np.concatenate([[0], np.cumsum(counts)])
        self._mass = np.bincount(cells, weights=weights, minlength=self.n_codes**2)
        mass = np.where(self._mass > 0, self._mass, 1.0)
        self._ends = np.cumsum((weights / mass[cells])[self._order])

    def _cluster(self, h, half):
        """Move the centres of half `h` to where the classes are now, and return the nearest one of each class."""
        if not half.any():  # before training, or without columns
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
            warnings.simplefilter("ignore", ConvergenceWarning)  # it warns of fewer different rows than centres
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
        lost = np.flatnonzero(total < SMALLEST_TOTAL)  # in these rows no class has the best codes of both halves
        total[lost] = np.inf
        by_cell = (mass * ((scores[0] / total[:, None]).T @ scores[1])).ravel()
        step = max(1, CHUNK_SCORES // mass.size)
        for start in range(0, len(lost), step):
            by_cell += self._sum_cell_by_cell(*(z[lost[start : start + step]] for z in logits))
        return by_cell / len(hidden)

    def _sum_cell_by_cell(self, first, second):
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
