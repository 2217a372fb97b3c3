"""Sorted arrays of integer keys: looking keys up, and counting them as they come."""

import numpy as np

SORT_FROM = 2**16  # keys and table entries; random look-ups in a table beyond the cache cost more than sorting them


def find(sorted_keys, keys):
    """Where each key is among sorted ones, and whether it is there at all (else the place is any valid one, or 0)."""
    if not len(sorted_keys):
        return np.zeros(len(keys), dtype=np.intp), np.zeros(len(keys), dtype=bool)
    if min(len(keys), len(sorted_keys)) < SORT_FROM:
        place = np.searchsorted(sorted_keys, keys)
    else:
        by_key = np.argsort(keys)
        place = np.empty(len(keys), dtype=np.intp)
        place[by_key] = np.searchsorted(sorted_keys, keys[by_key])
    np.minimum(place, len(sorted_keys) - 1, out=place)
    return place, sorted_keys[place] == keys


class KeyCounts:
    """How often each key came, over any number of `add`.

    Holds 16 bytes a distinct key. What was added is merged when it outgrows what was merged before: that takes up to
    five times as much for a moment, and keeps the time of all merges within a logarithm of that of one.
    """

    def __init__(self):
        self._parts = []  # of distinct sorted keys and their counts; the first is the merged one

    def add(self, keys):
        self._parts.append(np.unique(keys, return_counts=True))
        if sum(len(part[0]) for part in self._parts[1:]) > len(self._parts[0][0]):
            self._merge()

    def at_least(self, min_count):
        """The sorted keys that came min_count times or more."""
        self._merge()
        keys, counts = self._parts[0]
        return keys[counts >= min_count].astype(np.int64, copy=False)

    def _merge(self):
        if len(self._parts) == 1:
            return
        keys = np.concatenate([np.empty(0, dtype=np.int64), *(part[0] for part in self._parts)])
        counts = np.concatenate([np.empty(0, dtype=np.int64), *(part[1] for part in self._parts)])
        self._parts = []  # their memory is needed for sorting
        by_key = np.argsort(keys)
        keys = keys[by_key]
        counts = counts[by_key]
        del by_key
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        self._parts = [(keys[first], np.add.reduceat(counts, first) if len(first) else counts)]
