"""Rows of many classes for studies that are given no data."""

import numpy as np
import scipy.sparse as sp


def synthetic(n_rows=60_000, n_classes=12_000, n_features=20_000, n_entries=12, seed=0):
    """Make rows of Zipf-distributed classes, with two thirds of the entries among few features of their class."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(10, n_classes + 10)
    y = rng.choice(n_classes, n_rows, p=weights / weights.sum())
    own = rng.integers(0, n_features, (n_classes, 8))
    indices = rng.integers(0, n_features, (n_rows, n_entries))
    signal = n_entries * 2 // 3
    indices[:, :signal] = own[y[:, None], rng.integers(0, 8, (n_rows, signal))]
    indptr = np.arange(0, indices.size + 1, n_entries)
    return sp.csr_matrix(
        (np.full(indices.size, n_entries**-0.5, "f"), indices.ravel(), indptr), (n_rows, n_features)
    ), y
