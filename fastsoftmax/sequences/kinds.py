"""The kinds of features that histories have, a class each: which columns it has, and what it puts into them.

A kind has `n_columns`, `names(items)`, a list of str, one a column, and `entries(rows)`: arrays of the row, of the column,
which the kind counts from its own first one, and of the value of each element that is not zero, or one value for all. Elements
at one place add up.
"""

from functools import cached_property

import numpy as np
from scipy import sparse

from fastsoftmax.sequences import ngrams

LONGEST = 2**16  # items of a history, from which on all lengths are in one bucket
MOST_INT32 = 2**31 - 1
NOTHING = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)  # the entries of a kind that has none


class Rows:
    """Histories, and how much each of their last items counts.

    Parameters
    ----------
    histories : Histories
    times, columns : what `sources.Coded` has of the events
    decay, half_life, max_length : parameters of SequenceFeatures
    """

    def __init__(self, histories, times, columns, *, decay, half_life, max_length):
        self.histories, self.times, self.columns = histories, times, columns
        self.max_length, self._decay, self._half_life = max_length, decay, half_life
        self.row, self.place, self._back = histories.places(max_length)

    @cached_property
    def item(self):
        return self.histories.ids[self.place]

    @cached_property
    def weight(self):
        """How much each item counts, by its distance from the last one, and by its age then."""
        weight = powers(self._decay, self._back)
        if self._half_life is not None:
            times = self.times[self.place]
            last = times[np.flatnonzero(self._back == 0)]  # of the rows that have any
            of_row = np.cumsum(self._back == 0) - 1
            weight *= np.exp2(-np.abs(last[of_row] - times) / self._half_life)  # reversed histories go back in time
        return weight


def powers(base, exponents):
    """The base to the power of each of these small integers, float64; 0 to the power of 0 is 1."""
    if not len(exponents):
        return np.empty(0)
    return np.power(float(base), np.arange(exponents.max() + 1))[exponents]


class Bag:
    """The last items, wherever they lie; an earlier one counts less."""

    def __init__(self, n_items, *, counts):
        self.n_columns, self._counts = n_items, counts

    def names(self, items):
        return items

    def entries(self, rows):
        return (rows.row, rows.item, rows.weight) if self._counts else NOTHING


class EvenBag:
    """The last items, which count alike."""

    def __init__(self, n_items, length):
        self.n_columns, self._length = n_items, length

    def names(self, items):
        return [f"{item}, anywhere" for item in items]

    def entries(self, rows):
        lengths = np.minimum(np.maximum(rows.histories.lengths, 1), rows.max_length)
        return rows.row, rows.item, (self._length / np.sqrt(lengths))[rows.row]


class Place:
    """The item so many places from the end, 1 for the last one."""

    def __init__(self, n_items, place):
        self.n_columns, self._place = n_items, place

    def names(self, items):
        return [f"{item}, {self._place} back" for item in items]

    def entries(self, rows):
        item = rows.histories.back(self._place)
        row = np.flatnonzero(item >= 0)
        return row, item[row], 1.0


class NGrams:
    """The last two items together, the last three, and so on."""

    def __init__(self, n_items, tables):
        self._n_items, self._tables = n_items, tables
        self._starts = np.cumsum([0, *map(len, tables)])
        self.n_columns = int(self._starts[-1])

    def names(self, items):
        tables = ngrams.items_of(self._tables, self._n_items)
        return [" then ".join(items[code] for code in reversed(row)) for table in tables for row in table.tolist()]

    def entries(self, rows):
        found = list(ngrams.ending(rows.histories, self._tables, self._n_items))
        row = np.concatenate([row for row, _ in found])
        column = np.concatenate([number + start for (_, number), start in zip(found, self._starts[:-1], strict=True)])
        return row, column, 1.0


class LengthBuckets:
    """How many items the history has: none, 1, 2 to 3, 4 to 7, and so on."""

    n_columns = LONGEST.bit_length() + 1

    def names(self, items):
        ranges = [f"{2**i} to {2 ** (i + 1) - 1} items" for i in range(1, self.n_columns - 2)]
        return ["no items", "1 item", *ranges, f"{LONGEST} items or more"]

    def entries(self, rows):
        _, bits = np.frexp(rows.histories.lengths.astype(np.float64))  # that the length has as a binary number
        return np.arange(rows.histories.n_rows), np.minimum(bits, self.n_columns - 1), 1.0


class Shares:
    """The values of a side column: each has its share of what the history's last events count, as far as they are known."""

    def __init__(self, name, values):
        self._name, self._values, self.n_columns = name, values, len(values)

    def names(self, items):
        return [f"{self._name} {value}" for value in self._values.tolist()]

    def entries(self, rows):
        value = rows.columns[self._name][rows.place]
        known = (value >= 0) & (rows.weight > 0)
        row, weight = rows.row[known], rows.weight[known]
        return row, value[known], weight / np.bincount(row, weight, rows.histories.n_rows)[row]


def matrix(kinds, rows):
    """The features of Rows, CSR of float32: the columns of one kind after those of another."""
    n_columns = sum(kind.n_columns for kind in kinds)
    entries = [kind.entries(rows) for kind in kinds]
    n_entries = sum(len(row) for row, _, _ in entries)
    dtype = (
        np.int32 if max(n_columns, n_entries) <= MOST_INT32 else np.int64
    )  # as SciPy has it, which then copies nothing
    row, column, value = np.empty(n_entries, dtype), np.empty(n_entries, dtype), np.empty(n_entries, np.float32)
    first = start = 0
    for kind, (of_row, of_column, of_value) in zip(kinds, entries, strict=True):
        part = slice(first, first + len(of_row))
        row[part], value[part] = of_row, of_value
        np.add(of_column, start, out=column[part], dtype=dtype, casting="same_kind")
        first, start = part.stop, start + kind.n_columns
    shape = rows.histories.n_rows, n_columns
    if shape[0] == 1:  # whose elements need no sorting by row, which takes longer than all the rest
        X = sparse.csr_array((value, column, np.array([0, n_entries], dtype)), shape=shape)
    else:
        X = sparse.csr_array((value, (row, column)), shape=shape)
    X.sum_duplicates()
    return X


def scale_to_unit_length(X):
    """Scale the rows of CSR `X` to length 1, in place; empty ones stay."""
    lengths = np.sqrt(np.add.reduceat(np.append(X.data**2, 0.0), X.indptr[:-1]))
    X.data /= np.repeat(lengths, np.diff(X.indptr))
