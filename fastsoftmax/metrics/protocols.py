"""How sequences of items become rows to be tested on: what came before, and what came then."""

from collections.abc import Sequence

import numpy as np

from fastsoftmax.sequences.histories import prefix_rows
from fastsoftmax.validation import check_int, check_laid_out


def every_prefix(sequences):
    """A row for each item but the first of each sequence: the items before it, and the item itself.

    Parameters
    ----------
    sequences : iterable of sequences of hashable items, or tuple of arrays (ids, starts)
        Oldest first. In the arrays, all sequences lie end to end in `ids`, and `starts` has the place at which each begins.

    Returns
    -------
    histories : Histories of length n_rows
        A sequence of lists, or of arrays where arrays are given. They are made when they are asked for, so that all prefixes
        take no more memory than the sequences.
    targets : list of n_rows items, or array of shape (n_rows,) where arrays are given

    Raises
    ------
    TypeError
        If `sequences` is anything else.
    ValueError
        If `starts` does not begin with 0, descends, or is beyond the items.
    """
    items, starts = check_laid_out("sequences", sequences)
    lengths = np.diff(starts, append=len(items))
    return _rows(items, starts, lengths, np.minimum(lengths, 1))


def leave_one_out(sequences, n_last=1):
    """The last items of each sequence as rows to be tested on, and what is before them to be trained on.

    The usual split [1]_ tests on the last item and validates on the one before. It is this function twice::

        rest, *test = leave_one_out(sequences)
        train, *validation = leave_one_out(rest)

    Parameters
    ----------
    sequences : as in `every_prefix`
    n_last : int
        How many items of each sequence are held out. Each is the target of one row, whose history has all items
        before it, also those held out.

    Returns
    -------
    train : list of lists, or tuple of arrays (ids, starts) where arrays are given
        The sequences without the items held out, in the same order. One of at most `n_last` items is in there whole, and has
        no rows: nothing would be left of it.
    histories : Histories of length n_rows, as in `every_prefix`
    targets : list of n_rows items, or array of shape (n_rows,) where arrays are given

    Raises
    ------
    TypeError, ValueError
        As `every_prefix`, and if `n_last` is below 1.

    References
    ----------
    .. [1] W.-C. Kang and J. McAuley, "Self-attentive sequential recommendation", ICDM 2018, arXiv:1808.09781.
    """
    n_last = check_int("n_last", n_last, minimum=1)
    items, starts = check_laid_out("sequences", sequences)
    lengths = np.diff(starts, append=len(items))
    n_kept = np.where(lengths > n_last, lengths - n_last, lengths)
    return _beginnings(items, starts, n_kept), *_rows(items, starts, lengths, n_kept)


class Histories(Sequence):
    """What came before each row, oldest first: parts of the items of all sequences, which may overlap.

    Parameters
    ----------
    items : list or 1-D array
    starts, ends : arrays of int64, shape (n_rows,)
    """

    def __init__(self, items, starts, ends):
        self.items, self.starts, self.ends = items, starts, ends

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        """One history, or Histories of a slice of the rows."""
        if isinstance(i, slice):
            return Histories(self.items, self.starts[i], self.ends[i])
        return self.items[self.starts[i] : self.ends[i]]

    def __iter__(self):
        items = self.items
        return (items[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True))


def _rows(items, starts, lengths, n_before):
    """Histories and targets of the items that have at least `n_before` others of their own sequence before them."""
    begins, targets, _ = prefix_rows(starts, lengths, n_before)
    return Histories(items, begins, targets), _taken(items, targets)


def _taken(items, places):
    if isinstance(items, np.ndarray):
        return items[places]
    return list(map(items.__getitem__, places.tolist()))


def _beginnings(items, starts, lengths):
    """The first `lengths` items of each sequence, as sequences of the kind that was given."""
    if not isinstance(items, np.ndarray):
        return list(Histories(items, starts, starts + lengths))
    new_starts = np.cumsum(lengths) - lengths
    return items[np.repeat(starts - new_starts, lengths) + np.arange(lengths.sum())], new_starts
