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
    among = best(
        proba, len(proba) if top_k is None else min(top_k, len(proba))
    )  # before a temperature makes them equal
    with np.errstate(
        divide="ignore", over="ignore"
    ):  # 0 stays 0; near a temperature of 0, so does what is below the best
        log_proba = np.log(proba[among])
        kept = np.exp((log_proba - log_proba[0]) / temperature)
    kept /= kept.sum()
    if top_p is not None:
        kept = kept[: int(np.searchsorted(np.cumsum(kept), top_p - 1e-12)) + 1]
    cumulative = np.cumsum(kept)
    place = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
    return int(among[min(place, len(kept) - 1)])
