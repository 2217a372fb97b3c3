"""The sizes of a problem and a batch, and how many different features and classes a batch has."""

from typing import NamedTuple

import numpy as np

GRID = 4000  # intervals of Zipf's law; up to so many items the sums are exact
POSITIVE = ("n_classes", "n_features", "hidden_size", "entries", "batch", "top_k", "itemsize")


class Sizes(NamedTuple):
    """What the formulas take; defaults are those of `benches.curves`."""

    n_classes: int  # K
    n_features: int = 50_000  # D
    hidden_size: int = 128  # d
    entries: int = 15  # e: nonzero features a row
    batch: int = 256  # B
    negatives: int = 1024  # S: drawn for a batch
    classes_per_feature: int = 50  # c: of a sparse direct term
    top_k: int = 20
    itemsize: int = 4  # bytes of a weight in training

    @property
    def n_pairs(self):
        """Weights of a sparse direct term."""
        return self.n_features * self.classes_per_feature

    @property
    def batch_pairs(self):
        """(entry, class of its feature) of a batch."""
        return self.batch * self.entries * self.classes_per_feature

    @property
    def batch_features(self):
        """Different features of a batch, expected: Zipf's law."""
        return distinct(self.n_features, self.batch * self.entries)

    @property
    def candidates(self):
        """C: different classes among B targets (p_j ~ 1 / j) and S negatives (p_j ~ 1 / j^0.75), expected."""
        return distinct(self.n_classes, self.batch, self.negatives)


def checked(sizes):
    """`sizes`; ValueError where one of them makes no sense."""
    for name in POSITIVE:
        if getattr(sizes, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(sizes, name)}")
    for name in ("negatives", "classes_per_feature"):
        if getattr(sizes, name) < 0:
            raise ValueError(f"{name} must not be negative, got {getattr(sizes, name)}")
    if sizes.entries > sizes.n_features:
        raise ValueError(f"entries must be at most n_features = {sizes.n_features:,}, got {sizes.entries:,}")
    if sizes.top_k > sizes.n_classes:
        raise ValueError(f"top_k must be at most n_classes = {sizes.n_classes:,}, got {sizes.top_k:,}")
    if sizes.classes_per_feature > sizes.n_classes:
        raise ValueError(
            f"classes_per_feature must be at most n_classes = {sizes.n_classes:,}, got {sizes.classes_per_feature:,}"
        )
    return sizes


def distinct(n_items, n_draws, n_flat_draws=0):
    """Expected different items among draws with p_j ~ 1 / j and flat ones with q_j ~ 1 / j^0.75, all with repeats:
    sum_j (1 - exp(-n p_j - m q_j)), summed over GRID intervals that grow geometrically, each item as the interval's middle."""
    edges = np.unique(np.round(np.geomspace(1, n_items + 1, min(n_items, GRID) + 1)).astype(np.int64))
    if n_items <= GRID:
        edges = np.arange(1, n_items + 2)
    counts = np.diff(edges)
    items = (edges[:-1] + edges[1:] - 1) / 2  # the middle of each interval
    expected = n_draws * _share(items, counts, 1.0) + n_flat_draws * _share(items, counts, 0.75)
    return float(counts @ -np.expm1(-expected))


def _share(items, counts, power):
    """The probability of each item."""
    weights = items**-power
    return weights / (counts @ weights)
