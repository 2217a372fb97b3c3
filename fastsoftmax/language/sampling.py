"""Which word of a distribution comes next."""

import numpy as np

from fastsoftmax.passes import one_row

SORTED = 16  # a sort takes less time than a heap of more than this part of the words


def best(proba, k):
    """The k most probable classes, best first, among equal ones the first."""
    if k * SORTED <= len(proba):
        return one_row.best(proba, k)
    return np.argsort(-proba, kind="stable")[:k]


def draw(proba, rng, temperature=1.0, top_k=None, top_p=None):
    """A class at random.

    Parameters
    ----------
    proba : (n_classes,) float64
    rng : numpy Generator
    temperature : probabilities are taken to the power of 1 / temperature; at 0, the most probable class is the only one
    top_k : int or None, only so many of the most probable classes
    top_p : float or None, only the fewest of the most probable classes that have this share of all
    """
    if temperature == 0:
        return int(proba.argmax())
    log_proba = np.log(np.maximum(proba, 1e-300)) / temperature
    proba = np.exp(log_proba - log_proba.max())
    proba /= proba.sum()
    among = best(proba, len(proba) if top_k is None else min(top_k, len(proba)))
    kept = proba[among] / proba[among].sum()
    if top_p is not None:
        kept = kept[: int(np.searchsorted(np.cumsum(kept), top_p - 1e-12)) + 1]
    cumulative = np.cumsum(kept)
    place = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
    return int(among[min(place, len(kept) - 1)])
