"""Sequences to learn from, and histories to ask about, for tests of NextItemModel."""

import numpy as np

N_ITEMS = 40
HISTORIES = [["i3", "i4"], [], ["unknown"], ["i9", "i9", "unknown", "i2"], [f"i{i}" for i in range(N_ITEMS)]]


def walks(n_sequences, seed=0, n_items=N_ITEMS):
    """Sequences that step forward by 1 or 2 on a circle of items, from anywhere."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n_sequences):
        steps = rng.integers(1, 3, rng.integers(1, 8))
        out.append([f"i{i % n_items}" for i in rng.integers(n_items) + np.cumsum(steps)])
    return out
