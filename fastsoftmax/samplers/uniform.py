"""Samplers whose probabilities are a formula of the class code, so that they need no memory."""

import numpy as np

from fastsoftmax.samplers.base import Sampler
from fastsoftmax.validation import check_falling, check_int, check_size


class Uniform(Sampler):
    """Every class with the same probability.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    """

    def __init__(self, n_classes):
        self.n_classes = self._n_drawable = check_int("n_classes", n_classes, minimum=1)

    def __repr__(self):
        return f"Uniform({self.n_classes})"

    def probabilities(self):
        check_size("n_classes", self.n_classes, 8)
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
        How often each class was seen. The order of the classes is checked by it; the probabilities do not depend on it.

    Warns
    -----
    UserWarning
        If `counts` are given and a class was seen more often than the one before it.
    """

    @classmethod
    def from_counts(cls, counts):
        """Warn only if counts rise by more than chance explains: the counts of a random part of the rows always rise a bit."""
        counts = np.asarray(counts)
        chance = 4 * np.sqrt(counts[1:] + counts[:-1])
        return cls(len(counts), counts if (np.diff(counts) > chance).any() else None)

    def __init__(self, n_classes, counts=None):
        self.n_classes = self._n_drawable = check_int("n_classes", n_classes, minimum=1)
        if counts is not None:
            check_falling("counts", counts, self.n_classes)
        self._log_range = np.log1p(self.n_classes)

    def __repr__(self):
        return f"LogUniform({self.n_classes})"

    def probabilities(self):
        check_size("n_classes", self.n_classes, 24)
        return self._probability(np.arange(self.n_classes))

    def _draw(self, n, rng):
        class_ids = np.expm1(rng.random(n) * self._log_range).astype(np.int64)
        return np.minimum(class_ids, self.n_classes - 1, out=class_ids)  # expm1 may round up

    def _probability(self, class_ids):
        return np.log1p(1.0 / (class_ids + 1)) / self._log_range
