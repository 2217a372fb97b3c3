"""The slow, obvious float64 twin of the mixture of src/tiles/one_row.pyx."""

import numpy as np
import reference


def best_of_mixture(hidden, V, bias, items, n_items, share, votes, k, excluded=()):
    """The best items and their probabilities, of equal ones the lower first.

    votes : list of (items, values, weight), each of which adds weight * values to what these items have
    """
    proba = np.zeros(n_items)
    for voted, values, weight in votes:
        for item, value in zip(voted.tolist(), values.astype(np.float64).tolist(), strict=True):
            proba[item] += weight * value
    proba[items] += share * reference.softmax(V.astype(np.float64) @ hidden.astype(np.float64) + bias)
    left = np.setdiff1d(np.arange(n_items), np.array(excluded, dtype=int))
    best = left[np.argsort(-proba[left], kind="stable")][:k]
    return best, proba[best]
