"""The experts of a mixture that count: each gives histories distributions over the items, as Votes.

`votes` takes Histories, and `of_one` one history by itself, a list of codes with the oldest first: it returns items, of which
some may be the same, and their values in two arrays, or None where it knows nothing of the history.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.sequences import counted
from fastsoftmax.sequences.neighbours import NearestSequences

REPEATS = 0.7  # a seen item counts by this to the power of the places that it lies back
FEW_VOTES = 100_000  # which are found one by one


class Votes(NamedTuple):
    """What items of rows get; an item of a row may stand several times. Those of a row add up to 1, or there are none."""

    row: np.ndarray  # (n_votes,) int64, ascending
    item: np.ndarray  # (n_votes,) integers
    value: np.ndarray  # (n_votes,) float


class Repeats:
    """The next item is one of the history, more likely one of its last."""

    name = "repeats"

    def __init__(self, sequences, n_items, n_threads):
        pass

    def votes(self, histories):
        row, item, back = histories.entries(counted.HISTORY)
        return Votes(row, item, _shares(histories, row, REPEATS**back))

    def of_one(self, items):
        last = items[: -counted.HISTORY - 1 : -1]
        weight = REPEATS ** np.arange(len(last))
        return (np.array(last, np.int32), weight / weight.sum()) if last else None


class Followers:
    """The next item is one that often came soon after the last one."""

    name = "followers"

    def __init__(self, sequences, n_items, n_threads):
        self._of_item = counted.distributions(counted.follower_counts(sequences, n_items))

    def votes(self, histories):
        return _of_last(histories, self._of_item)

    def of_one(self, items):
        return _row(self._of_item, items[-1]) if items else None


class Preceders:
    """The next item is one that often came shortly before the last one."""

    name = "preceders"

    def __init__(self, sequences, n_items, n_threads):
        self._of_item = counted.distributions(counted.follower_counts(sequences, n_items).T)

    def votes(self, histories):
        return _of_last(histories, self._of_item)

    def of_one(self, items):
        return _row(self._of_item, items[-1]) if items else None


class Companions:
    """The next item is one that often was in one sequence with the items of the history, which all count alike."""

    name = "companions"

    def __init__(self, sequences, n_items, n_threads):
        self._of_item = counted.companion_distributions(sequences, n_items)
        self._has_any = np.diff(self._of_item.indptr) > 0

    def votes(self, histories):
        row, item, _ = histories.distinct_entries(counted.HISTORY, len(self._has_any))
        known = self._has_any[item]
        row, item = row[known], item[known]
        weight = _shares(histories, row, np.ones(len(row)))
        if len(row) * counted.MOST <= FEW_VOTES:  # a product of sparse arrays takes time for each of all items
            entry, items, values = gathered(self._of_item, item)
            return Votes(row[entry], items, weight[entry] * values)
        shape = histories.n_rows, len(self._has_any)
        proba = sparse.csr_array((weight, (row, item)), shape=shape) @ self._of_item
        return Votes(np.repeat(np.arange(histories.n_rows), np.diff(proba.indptr)), proba.indices, proba.data)

    def of_one(self, items):
        last = dict.fromkeys(items[: -counted.HISTORY - 1 : -1])
        rows = [_row(self._of_item, item) for item in last if self._has_any[item]]
        if not rows:
            return None
        found, values = map(np.concatenate, zip(*rows, strict=True))
        return found, values * np.float32(1 / len(rows))


class Neighbours:
    """The next item is one that came next in the sequences that are most like the history."""

    name = "neighbours"

    def __init__(self, sequences, n_items, n_threads):
        self.n_threads = n_threads
        self._nearest = NearestSequences(sequences, n_items)

    def votes(self, histories):
        return Votes(*self._nearest.votes(histories, self.n_threads))

    def of_one(self, items):
        return self._nearest.of_one(items)


EXPERTS = {expert.name: expert for expert in (Neighbours, Followers, Preceders, Companions, Repeats)}


def _of_last(histories, of_item):
    """The rows of CSR `of_item` of the last items."""
    last = histories.back(1)
    has = np.flatnonzero(last >= 0)
    entry, items, values = gathered(of_item, last[has])
    return Votes(has[entry], items, values)


def _row(a, row):
    """The columns and the values of a row of CSR `a`; None where it has none."""
    begin, end = a.indptr[row], a.indptr[row + 1]
    return (a.indices[begin:end], a.data[begin:end]) if begin < end else None


def gathered(a, rows):
    """The elements of some rows of CSR `a`, row after row: the place in `rows` of each, its column and its value."""
    begin, end = a.indptr[rows], a.indptr[rows + 1]
    lengths = end - begin
    place = np.repeat(np.arange(len(rows)), lengths)
    at = np.arange(len(place)) + np.repeat(begin - (np.cumsum(lengths) - lengths), lengths)
    return place, a.indices[at], a.data[at]


def _shares(histories, row, weight):
    """Weights, scaled to add up to 1 in each row."""
    return weight / np.bincount(row, weight, histories.n_rows)[row]
