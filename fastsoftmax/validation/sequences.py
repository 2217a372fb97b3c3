"""Sequences of items, oldest first, and the events that they are made of."""

import itertools

import numpy as np

from fastsoftmax.validation.arrays import as_array
from fastsoftmax.validation.documents import check_starts
from fastsoftmax.validation.labels import check_labels


def check_sequences(name, sequences):
    """The items of all sequences, one sequence after the other, and the place at which each one begins, int64.

    sequences : an iterable of sequences, whose items come back in a list; or a tuple of arrays (ids, starts), where the items
        may be any 1-D array
    """
    if isinstance(sequences, tuple) and len(sequences) == 2 and all(isinstance(a, np.ndarray) for a in sequences):
        return _check_laid_end_to_end(*sequences)
    if isinstance(sequences, (str, bytes, dict)) or not np.iterable(sequences):
        raise TypeError(f"{name} must be a list of sequences of items, got {sequences!r}")
    sequences = [_as_list(name, sequence, i) for i, sequence in enumerate(sequences)]
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    return list(itertools.chain.from_iterable(sequences)), np.cumsum(lengths) - lengths


def _as_list(name, sequence, i):
    if isinstance(sequence, (list, tuple)):
        return sequence
    if isinstance(sequence, (str, bytes, dict, set, frozenset)) or not np.iterable(sequence):
        raise TypeError(f"{name} must hold sequences of items, such as lists, got {sequence!r} at position {i}")
    return sequence.tolist() if isinstance(sequence, np.ndarray) and sequence.ndim == 1 else list(sequence)


def _check_laid_end_to_end(ids, starts):
    if ids.ndim != 1:
        raise ValueError(f"ids must have one dimension, got shape {ids.shape}")
    return ids, check_starts(starts, len(ids))


def check_rows_of_sequences(name, n_rows):
    """Raise unless there is a row to test: an item that comes after another one."""
    if not n_rows:
        raise ValueError(f"{name} must hold a sequence of at least two items, got none")


def check_events(users, items, times):
    """Events as arrays of equal lengths: users and items as labels, times as numbers or dates, none missing; or no times."""
    users, items = check_labels(users, name="users")[0], check_labels(items, name="items")[0]
    if len(items) != len(users):
        raise ValueError(f"items must be as many as users, got {len(items)} and {len(users)}")
    if times is None:
        return users, items, None
    times = as_array("times", times)
    if times.ndim != 1 or times.dtype.kind not in "iufM":
        raise TypeError(
            f"times must be one number or date an event, got an array of {times.dtype}, shape {times.shape}"
        )
    if len(times) != len(users):
        raise ValueError(f"times must be as many as users, got {len(times)} and {len(users)}")
    missing = np.isnat(times) if times.dtype.kind == "M" else np.isnan(times)
    if missing.any():
        raise ValueError(f"times must not be missing, got {times[missing.argmax()]} at position {missing.argmax()}")
    return users, items, times
