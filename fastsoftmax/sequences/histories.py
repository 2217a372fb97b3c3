"""Sequences laid end to end, and histories: the first items of sequences, up to some place."""

from typing import NamedTuple

import numpy as np


def prefix_rows(starts, lengths, n_before):
    """A row for each item of each sequence that has at least `n_before` others of the sequence before it.

    Parameters
    ----------
    starts, lengths : (n_sequences,) int64 where each sequence begins, and how many items it has
    n_before : (n_sequences,) int64, from 0 to `lengths`

    Returns
    -------
    begins : (n_rows,) int64 where the history of each row begins
    targets : (n_rows,) int64 the place of the row's item, before which its history ends
    sequence : (n_rows,) int64 the number of the row's sequence
    """
    n_rows = lengths - n_before
    sequence = np.repeat(np.arange(len(lengths)), n_rows)
    targets = np.arange(len(sequence)) + np.repeat(starts + n_before - (np.cumsum(n_rows) - n_rows), n_rows)
    return starts[sequence], targets, sequence


class Sequences(NamedTuple):
    """Sequences of item codes.

    Attributes
    ----------
    ids : (n_places,) int32 codes of all sequences, one after another
    indptr : (n_sequences + 1,) int64 where each begins, and where the last one ends
    """

    ids: np.ndarray
    indptr: np.ndarray

    def __len__(self):
        return len(self.indptr) - 1

    @property
    def lengths(self):
        return np.diff(self.indptr)

    def part(self, start, stop):
        """The sequences from `start` to before `stop`."""
        indptr = self.indptr[start : stop + 1]
        return Sequences(self.ids[indptr[0] : indptr[-1]], indptr - indptr[0])

    def sequence_of_places(self):
        """The number of the sequence that each place is in, (n_places,) int64."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def wholes(self):
        """Each sequence as a history."""
        return Histories(self.ids, self.indptr[:-1], self.lengths)

    def prefixes(self):
        """The histories before each item but the first of its sequence, these items, and the numbers of their sequences."""
        lengths = self.lengths
        begins, targets, sequence = prefix_rows(self.indptr[:-1], lengths, np.minimum(lengths, 1))
        return Histories(self.ids, begins, targets - begins), self.ids[targets], sequence

    def ends(self, n_items):
        """The last `n_items` items of each sequence."""
        lengths = np.minimum(self.lengths, n_items)
        indptr = np.append(0, np.cumsum(lengths))
        places = np.repeat(self.indptr[1:] - indptr[1:], lengths) + np.arange(indptr[-1])
        return Sequences(self.ids[places], indptr)

    def reversed_places(self):
        """The places of all sequences, those of each from its end to its beginning, (n_places,) int64."""
        return np.repeat(self.indptr[:-1] + self.indptr[1:] - 1, self.lengths) - np.arange(len(self.ids))

    def reversed(self):
        """The same sequences, each from its end to its beginning."""
        return Sequences(self.ids[self.reversed_places()], self.indptr)

    def joined(self, other):
        """These sequences, and then those of `other`."""
        return Sequences(
            np.concatenate([self.ids, other.ids]), np.concatenate([self.indptr, self.indptr[-1] + other.indptr[1:]])
        )

    def kept(self, places):
        """The sequences without the items at some places; places : (n_places,) bool, which ones stay."""
        return Sequences(self.ids[places], np.append(0, np.cumsum(places))[self.indptr])


class Histories(NamedTuple):
    """Histories, which may share items.

    Attributes
    ----------
    ids : (n_places,) int32 item codes
    begins, lengths : (n_rows,) int64; row i is ids[begins[i] : begins[i] + lengths[i]], the latest item last
    """

    ids: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray

    @property
    def n_rows(self):
        return len(self.begins)

    def rows(self, at):
        """Some of the histories; `at` is an index of an array."""
        return Histories(self.ids, self.begins[at], self.lengths[at])

    def back(self, place):
        """The items `place` places before the end, 1 for the last ones, (n_rows,) int32; -1 where a history is shorter."""
        has = self.lengths >= place
        out = np.full(self.n_rows, -1, np.int32)
        out[has] = self.ids[self.begins[has] + self.lengths[has] - place]
        return out

    def places(self, max_length):
        """The places of the last `max_length` items of each row in `ids`, row by row, the latest first.

        Returns
        -------
        row : (n_entries,) int64
        place : (n_entries,) int64
        back : (n_entries,) int64, 0 for the last item of a row
        """
        lengths = np.minimum(self.lengths, max_length)
        row = np.repeat(np.arange(self.n_rows), lengths)
        back = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return row, (self.begins + self.lengths - 1)[row] - back, back

    def entries(self, max_length):
        """The last `max_length` items of each row, row by row, the latest first.

        Returns
        -------
        row : (n_entries,) int64
        item : (n_entries,) int32
        back : (n_entries,) int64, 0 for the last item of a row
        """
        row, place, back = self.places(max_length)
        return row, self.ids[place], back

    def distinct_entries(self, max_length, n_items):
        """`entries`, each item of a row only where it occurs last."""
        row, item, back = self.entries(max_length)
        first = np.unique(row * n_items + item, return_index=True)[1]
        first.sort()
        return row[first], item[first], back[first]
