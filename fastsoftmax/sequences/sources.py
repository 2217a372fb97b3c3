"""What SequenceFeatures take: lists of sequences, arrays, tables of events, and streams of any of these."""

import itertools
from typing import NamedTuple

import numpy as np

from fastsoftmax.sequences.events import in_order
from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.sequences.items import codes_of
from fastsoftmax.validation import check_event_table, check_needs_no_table, check_sequences, is_event_table

NO_ITEMS = np.empty(0, object)


class Given(NamedTuple):
    """Sequences as users give them, laid end to end.

    Attributes
    ----------
    labels : (n_places,) array of the items
    indptr : (n_sequences + 1,) int64 where each sequence begins, and where the last one ends
    times : (n_places,) float64, or None where they are not asked for
    columns : dict of str to (n_places,) array, the side columns that are asked for
    """

    labels: np.ndarray
    indptr: np.ndarray
    times: np.ndarray | None
    columns: dict


def given(name, sequences, *, side=(), timed=False, items=None):
    """The Given of a list of sequences, a tuple of arrays (ids, starts), or a table.

    side, timed : the side columns that are asked for, which a table alone has, and whether times are
    items : the items of a model, for `check_sequences`
    """
    if not is_event_table(sequences):
        check_needs_no_table(name, side, timed=timed)
        return Given(*check_sequences(name, sequences, items), None, {})
    users, labels, times, columns = check_event_table(name, sequences, side, timed=timed)
    if not len(labels):
        return Given(*check_sequences(name, [], items), np.empty(0) if timed else None, columns)
    _, order, indptr = in_order(users, times)
    columns = {column: values[order] for column, values in columns.items()}
    return Given(labels[order], indptr, _as_numbers(times[order]) if timed else None, columns)


def _as_numbers(times):
    """Numbers as float64, and dates in seconds."""
    if times.dtype.kind == "M":
        return times.astype("M8[us]").astype(np.int64) / 1e6
    return times.astype(np.float64)


class Coded(NamedTuple):
    """Sequences of codes of known items, and what else is known of their events.

    Attributes
    ----------
    sequences : Sequences
    times : (n_places,) float64 or None
    columns : dict of str to (n_places,) int32, codes of the values of side columns; -1: one that is not known
    """

    sequences: Sequences
    times: np.ndarray | None
    columns: dict

    @classmethod
    def of(cls, given, items, values, name):
        """The codes of what is Given; events of items that are not known are left out.

        values : dict of str to array, the known values of the side columns
        """
        sequences = Sequences(codes_of(given.labels, items, name), given.indptr)
        columns = {column: codes_of(given.columns[column], known, column) for column, known in values.items()}
        known = sequences.ids >= 0
        if known.all():
            return cls(sequences, given.times, columns)
        return cls(sequences.kept(known), *_at(given.times, columns, known))

    def with_reverses(self):
        """These sequences, and then each of them from its end to its beginning."""
        places = self.sequences.reversed_places()
        places = np.append(np.arange(len(places)), places)
        both = self.sequences.joined(self.sequences.reversed())
        return Coded(both, *_at(self.times, self.columns, places))


def _at(times, columns, places):
    """The times and the columns at these places."""
    return None if times is None else times[places], {name: codes[places] for name, codes in columns.items()}


def blocks_of(sequences):
    """An iterator over the blocks of a stream, or None; and the sequences, where it is none.

    A stream is an iterator that gives blocks: tables, tuples of arrays (ids, starts), or lists whose elements are lists or
    arrays. Any other iterator gives sequences.
    """
    if not hasattr(sequences, "__next__"):
        return None, sequences
    head, is_stream = [], False
    for first in sequences:
        head.append(first)
        if not _is_empty(first):
            is_stream = _is_block(first)
            break
    sequences = itertools.chain(head, sequences)
    return (sequences, None) if is_stream else (None, list(sequences))


def _is_empty(element):
    """Whether an element of an iterator is a list without elements, which may be a sequence or a block."""
    return isinstance(element, list) and not element


def _is_block(element):
    if isinstance(element, list):
        return isinstance(element[0], (list, np.ndarray))
    is_pair = isinstance(element, tuple) and len(element) == 2 and all(isinstance(a, np.ndarray) for a in element)
    return is_pair or is_event_table(element)
