"""A sampler that follows the model: classes that are likely for a batch are drawn more often."""

import functools

import numpy as np

from fastsoftmax import _validation
from fastsoftmax._sampler import Sampler

ROWS_TO_LEARN = 50_000  # classes that the centres are found from, at most
ITERATIONS = 8  # of k-means, the first time; later it goes on from the centres before


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
        Steps between two times that the clusters are made anew. It takes about ``n_classes * n_codes * hidden_size``
        multiply-adds.

    Notes
    -----
    Takes 26 bytes a class. A draw is O(log n_classes). The proposal is MIDX's [1]_ with the popularity of a class for its
    share of a cell, for a batch instead of a row: the mean over rows of a product over codes is a matrix product, so it costs
    ``n_rows * n_codes**2`` multiply-adds.

    References
    ----------
    .. [1] J. Chen, J. Lian, Y. Li, B. Wang, K. Zheng and E. Chen, "Adaptive sampled softmax with inverted multi-index:
       methods, theory and applications", 2025. arXiv:2501.08563
    """

    follows_model = True

    def __init__(self, n_classes, n_codes=32, refresh_every=500):
        self.n_classes = self._n_drawable = _validation.check_int("n_classes", n_classes, minimum=1)
        self.n_codes = _validation.check_int("n_codes", n_codes, minimum=1, maximum=256)
        self.refresh_every = _validation.check_int("refresh_every", refresh_every, minimum=1)
        self._centres = [None, None]
        self._steps = 0  # since the model was followed first
        self._fill(np.zeros(self.n_classes, np.uint16), np.ones(self.n_classes))

    def __repr__(self):
        return f"MultiIndex({self.n_classes}, n_codes={self.n_codes}, refresh_every={self.refresh_every})"

    def follow(self, V, bias):
        if self._steps % self.refresh_every == 0:
            self._index(V, bias)
        self._steps += 1

    def _index(self, V, bias):
        """Cells of all classes, and within each its classes with running sums of their shares."""
        middle = V.shape[1] // 2
        codes = [self._cluster(h, half) for h, half in enumerate((V[:, :middle], V[:, middle:]))]
        weights = bias - bias.max(initial=-np.inf)
        self._fill(codes[0] * np.uint16(self.n_codes) + codes[1], np.exp(weights, dtype=np.float64))

    def _fill(self, cells, weights):
        self._cells, self._weights = cells, weights
        self._order = np.argsort(cells, kind="stable")
        self._ends = np.cumsum(weights[self._order])
        counts = np.bincount(cells, minlength=self.n_codes**2)
        self._cell_ptr = np.concatenate([[0], np.cumsum(counts)])
        self._mass = np.bincount(cells, weights=weights, minlength=self.n_codes**2)

    def _cluster(self, h, half):
        """The nearest of the centres of half `h`, which move to where the classes are now."""
        from sklearn.cluster import KMeans

        half = np.ascontiguousarray(half)
        sample = half[:: -(-len(half) // ROWS_TO_LEARN)]
        n_codes = min(self.n_codes, len(sample))
        old = self._centres[h]
        init = sample[:: max(1, len(sample) // n_codes)][:n_codes] if old is None else old
        means = KMeans(n_codes, init=init, n_init=1, max_iter=ITERATIONS if old is None else 2).fit(sample)
        self._centres[h] = means.cluster_centers_
        return means.predict(half).astype(np.uint16)

    def _propose(self, n, rng, target=None, hidden=None):
        cell_probability = self._mass / self._mass.sum() if hidden is None else self._cell_probabilities(hidden)
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
        scores = []
        for centres, half in zip(self._centres, (hidden[:, :middle], hidden[:, middle:]), strict=True):
            logits = np.full((len(hidden), self.n_codes), -np.inf)
            logits[:, : len(centres)] = half @ centres.T
            scores.append(np.exp(logits - logits.max(axis=1, keepdims=True)))
        mass = self._mass.reshape(self.n_codes, self.n_codes)
        total = np.einsum("ij,ij->i", scores[0] @ mass, scores[1])
        return (mass * ((scores[0] / total[:, None]).T @ scores[1]) / len(hidden)).ravel()

    def _batch_counts(self, class_ids, per_weight):
        return per_weight[self._cells[class_ids]] * self._weights[class_ids]

    def probabilities(self):
        return self._probability(slice(None))

    def _draw(self, n, rng):
        return self._propose(n, rng)[0]

    def _probability(self, class_ids):
        return self._weights[class_ids] / self._mass.sum()
