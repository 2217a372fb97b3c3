"""Sorted arrays of integer keys: how keys are looked up in them, and counted as they come."""

import numpy as np

SORT_FROM = 2**16  # keys and table entries: random look-ups in a table beyond the cache cost more than sorting the keys
PACKED_BITS = 63


def find(sorted_keys, keys):
    """Where each key is among sorted ones, and whether it is there at all.

    Returns
    -------
    place : ndarray of intp, shape (n_keys,)
        Of a key that is not there, any valid place, or 0.
    is_there : ndarray of bool, shape (n_keys,)
    """
    if not len(sorted_keys):
        return np.zeros(len(keys), dtype=np.intp), np.zeros(len(keys), dtype=bool)
    if min(len(keys), len(sorted_keys)) < SORT_FROM or (keys[1:] >= keys[:-1]).all():
        place = np.searchsorted(sorted_keys, keys)
    else:
        in_order, rows = in_ascending_order(keys)
        place = np.empty(len(keys), dtype=np.intp)
        place[rows] = np.searchsorted(sorted_keys, in_order)
    np.minimum(place, len(sorted_keys) - 1, out=place)
    return place, sorted_keys[place] == keys


def in_ascending_order(keys):
    """The sorted keys, equal ones in the order in which they were, and which of `keys` each is."""
    row_bits = len(keys).bit_length()
    if len(keys) and keys.min() >= 0 and int(keys.max()).bit_length() + row_bits <= PACKED_BITS:
        packed = keys.astype(np.int64)  # sorting numbers is several times faster than finding out how to sort them
        packed <<= row_bits
        packed |= np.arange(len(keys))
        packed.sort()
        rows = packed & ((1 << row_bits) - 1)
        packed >>= row_bits
        return packed.astype(keys.dtype, copy=False), rows
    rows = np.argsort(keys, kind="stable")
    return keys[rows], rows


class KeyCounts:
    """How often each key came, over any number of calls of `add`.

    It takes 16 bytes a distinct key. What was added is merged when it outgrows what was merged before: that takes up to
    five times as much memory for a moment, and keeps the time of all merges within a logarithm of the time of one.
    """

    def __init__(self):
        self._runs = []  # each of distinct sorted keys and their counts; the first is the merged one

    def add(self, keys):
        """Count the keys, an array of int."""
        self._runs.append(np.unique(keys, return_counts=True))
        if sum(len(run[0]) for run in self._runs[1:]) > len(self._runs[0][0]):
            self._merge()

    def at_least(self, min_count):
        """The sorted keys that came at least min_count times."""
        self._merge()
        keys, counts = self._runs[0]
        return keys[counts >= min_count].astype(np.int64, copy=False)

    def _merge(self):
        if len(self._runs) == 1:
            return
        keys = np.concatenate([np.empty(0, dtype=np.int64), *(run[0] for run in self._runs)])
        counts = np.concatenate([np.empty(0, dtype=np.int64), *(run[1] for run in self._runs)])
        self._runs = []  # sorting needs their memory
        by_key = np.argsort(keys)
        keys = keys[by_key]
        counts = counts[by_key]
        del by_key
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        self._runs = [(keys[first], np.add.reduceat(counts, first) if len(first) else counts)]
