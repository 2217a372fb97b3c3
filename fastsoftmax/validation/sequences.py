"""Sequences of items, oldest first, and the events that they are made of."""

import itertools

import numpy as np

from fastsoftmax.validation.arrays import as_array
from fastsoftmax.validation.documents import check_starts
from fastsoftmax.validation.labels import check_labels, family
from fastsoftmax.validation.scalars import check_int, check_n_threads, check_real, check_verbose, is_auto


def check_sequences(name, sequences, items=None):
    """The items of all sequences in one array, one sequence after another, and where each begins and the last one ends.

    sequences : an iterable of sequences, or a tuple of arrays (ids, starts), as for `check_laid_out`
    items : the items of a model, whose kind those of the sequences have where there are none; None: there is no model yet
    """
    if _are_arrays(sequences):
        ids, starts = check_laid_out(name, sequences)
        parts, indptr = [ids], np.append(starts, len(ids))
    else:
        parts = _parts(name, sequences)
        indptr = np.append(0, np.cumsum([len(part) for part in parts], dtype=np.int64)).astype(np.int64)
    if not indptr[-1]:
        if items is None:
            raise ValueError(f"{name} must hold items, got {len(indptr) - 1} sequences without any")
        return items[:0], indptr
    arrays = [part for part in parts if len(part)]
    if all(isinstance(part, np.ndarray) for part in arrays) and len({part.dtype.kind for part in arrays}) == 1:
        flat = np.concatenate(arrays)
    else:
        flat = list(
            itertools.chain.from_iterable(part.tolist() if isinstance(part, np.ndarray) else part for part in parts)
        )
    _check_items(name, flat)
    return check_labels(flat, name=name)[0], indptr


def _are_arrays(sequences):
    """Whether all sequences are in a tuple of two arrays, the items and where each sequence begins."""
    return isinstance(sequences, tuple) and len(sequences) == 2 and all(isinstance(a, np.ndarray) for a in sequences)


def _check_items(name, items):
    """Raise where an item is missing or cannot be a label."""
    if isinstance(items, np.ndarray):
        if items.dtype.kind in "fmM" and (items != items).any():
            raise ValueError(f"{name} must not hold missing items, got {items[(items != items).argmax()]!r}")
        return
    for kind in set(map(type, items)):
        if kind.__hash__ is None:
            item = next(item for item in items if type(item) is kind)
            raise TypeError(f"{name} must hold sequences of labels, which are hashable, got {item!r:.80} as an item")
        if kind is type(None) or (
            issubclass(kind, float) and any(item != item for item in items if type(item) is kind)
        ):
            raise ValueError(f"{name} must not hold missing items, got {'None' if kind is type(None) else 'nan'}")


def _parts(name, sequences):
    """The sequences, each a list, tuple or 1-D array."""
    if isinstance(sequences, (str, bytes, dict)):
        raise TypeError(f"{name} must be an iterable of sequences of items, got {sequences!r:.80}")
    if hasattr(sequences, "columns"):
        raise TypeError(
            f"{name} must be sequences of items, not a table: fastsoftmax.sequences.events makes them of one"
        )
    try:
        parts = list(sequences)
    except TypeError:
        raise TypeError(f"{name} must be an iterable of sequences of items, got {sequences!r:.80}") from None
    for i, part in enumerate(parts):
        if isinstance(part, np.ndarray) and part.ndim == 1:
            continue
        if isinstance(part, (np.ndarray, str, bytes, set, frozenset, dict)) or not hasattr(part, "__iter__"):
            raise TypeError(f"{name} must hold sequences of items, got {part!r:.80} at position {i}")
        if not isinstance(part, (list, tuple)):
            parts[i] = list(part)
    return parts


def check_enough_sequences(name, targets):
    """Raise unless there is something to learn from: two different items that come after another one."""
    check_has_rows(name, len(targets))
    if (targets == targets[0]).all():
        raise ValueError(f"{name} must hold two different items that come after another one, got one")


def check_one_each(name, n_sequences, n_histories):
    """Raise unless there are as many sequences as histories."""
    if n_sequences != n_histories:
        raise ValueError(f"{name} must have a sequence for each of the {n_histories} histories, got {n_sequences}")


def check_has_rows(name, n_rows):
    """Raise unless there is an item that comes after another one."""
    if not n_rows:
        raise ValueError(f"{name} must hold a sequence of at least two items, got only shorter ones")


def check_laid_out(name, sequences):
    """The items of all sequences as they are, one sequence after another, and where each one begins, int64.

    sequences : an iterable of sequences, whose items come back in a list; or a tuple of arrays (ids, starts), where the items
        may be any 1-D array
    """
    if _are_arrays(sequences):
        ids, starts = sequences
        if ids.ndim != 1:
            raise ValueError(f"ids must have one dimension, got shape {ids.shape}")
        return ids, check_starts(starts, len(ids))
    parts = [part.tolist() if isinstance(part, np.ndarray) else part for part in _parts(name, sequences)]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    return list(itertools.chain.from_iterable(parts)), np.cumsum(lengths) - lengths


def check_next_item_params(model):
    """Raise where a parameter of a NextItemModel is not what it must be."""
    if not is_auto(model.hidden_size):
        check_int("hidden_size", model.hidden_size, minimum=1)
    if not is_auto(model.max_iter):
        check_int("max_iter", model.max_iter, minimum=1)
    check_real("validation_fraction", model.validation_fraction, above=0, maximum=0.5)
    check_n_threads(model.n_threads)
    check_verbose(model.verbose)


def check_sequence_codes(ids, indptr, n_items):
    """Raise unless these are the Sequences of a stored model with so many items."""
    if ids.dtype != np.int32 or ids.ndim != 1 or indptr.dtype != np.int64 or indptr.ndim != 1:
        raise ValueError(f"the sequences have dtypes {ids.dtype} and {indptr.dtype}")
    if not len(indptr) or indptr[0] != 0 or indptr[-1] != len(ids) or (np.diff(indptr) < 0).any():
        raise ValueError("the sequences do not follow each other")
    if len(ids) and not (ids.min() >= 0 and ids.max() < n_items):
        raise ValueError(f"the sequences hold codes that are not among {n_items} items")


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


def check_items_like(known, items):
    """Items from a file, a list of str, as those of a model are: where these are numbers, "3" is 3."""
    if family(known) != "integers":
        return items
    try:
        return list(map(int, items))
    except ValueError:
        bad = next(item for item in items if not _is_integer(item))
        raise ValueError(f"the items of the model are numbers, such as {known[0]}, got {bad!r}") from None


def check_item_ngrams(tables, n_items):
    """Raise unless these are the tables of stored n-grams of so many items: see sequences.ngrams."""
    n_shorter = n_items
    for table in tables:
        if table.dtype != np.int64 or table.ndim != 1 or not len(table) or not (np.diff(table) > 0).all():
            raise ValueError(f"a table of n-grams has dtype {table.dtype} and shape {table.shape}, or does not ascend")
        if not (table[0] >= 0 and table[-1] < n_shorter * n_items):
            raise ValueError(f"n-grams are not of {n_items} items")
        n_shorter = len(table)


def _is_integer(text):
    try:
        int(text)
    except ValueError:
        return False
    return True
