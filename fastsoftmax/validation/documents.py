"""Texts, documents as streams of tokens, and parameters of their n-grams."""

import os

import numpy as np

from fastsoftmax.validation.arrays import as_int_vector, as_real_array
from fastsoftmax.validation.foreign import is_table
from fastsoftmax.validation.scalars import check_int


def check_documents(ids, starts, n_classes=None):
    """The tokens of documents laid end to end, integers from 0 to n_classes - 1, and where each document begins, int64.

    Empty documents are fine. Tokens keep their own dtype if it is signed, and become int64 otherwise.
    """
    ids = as_int_vector("ids", ids)
    if len(ids) and ids.min() < 0:
        raise ValueError(f"ids must not be negative, got {ids.min()} at position {ids.argmin()}")
    if n_classes is not None and len(ids) and ids.max() >= n_classes:
        raise ValueError(f"ids must be below n_classes ({n_classes}), got {ids.max()} at position {ids.argmax()}")
    return ids, check_starts(starts, len(ids))


def check_starts(starts, n_tokens):
    """Where each document begins among tokens laid end to end, int64."""
    starts = as_int_vector("starts", starts).astype(np.int64, copy=False)
    if n_tokens and (not len(starts) or starts[0] != 0):
        raise ValueError(f"starts must begin with 0, got {starts[0] if len(starts) else 'no starts'}")
    descents = np.flatnonzero(starts[1:] < starts[:-1])
    if len(descents):
        i = int(descents[0]) + 1
        raise ValueError(f"starts must not descend, got {starts[i]} at position {i} after {starts[i - 1]}")
    if len(starts) and not (starts[0] >= 0 and starts[-1] <= n_tokens):
        raise ValueError(f"starts must be from 0 to the number of tokens ({n_tokens}), got {starts[[0, -1]].tolist()}")
    return starts


def check_discounts(discounts, order):
    """Discounts of n-grams counted once, twice, and more often, as float64 (order, 3), or None."""
    if discounts is None:
        return None
    discounts = as_real_array("discounts", discounts).astype(np.float64)
    if discounts.shape not in [(3,), (order, 3)]:
        raise ValueError(f"discounts must be of shape (3,) or (order, 3) = ({order}, 3), got {discounts.shape}")
    if not np.all((discounts > 0) & (discounts <= [1, 2, 3])):
        raise ValueError(f"discounts must be above 0 and at most 1, 2, 3, got {discounts.tolist()}")
    return np.broadcast_to(discounts, (order, 3))


def check_chunk(name, chunk):
    """`check_documents` of a chunk of a stream."""
    if not isinstance(chunk, (tuple, list)) or len(chunk) != 2:
        raise TypeError(f"{name} must give pairs (ids, starts), got {chunk!r}")
    return check_documents(*chunk)


def check_repeatable(name, values):
    """A function that returns an iterator over `values` from the beginning, each time it is called."""
    if callable(values):
        return values
    try:
        if iter(values) is not values:
            return values.__iter__
    except TypeError:
        pass
    raise TypeError(
        f"{name} must be a list or a function that returns an iterator, to be gone through several times, got {values!r}"
    )


def check_same_rows(name, n_before, n_now):
    """Raise unless an iteration gave as many rows as the one before; None: there was none before."""
    if n_before is not None and n_now != n_before:
        raise ValueError(f"{name} must give the same tokens each time, got {n_before} and then {n_now}")


def check_source(name, source):
    """Raise unless `source` is a path or a binary file."""
    if not isinstance(source, (str, bytes, os.PathLike)) and not hasattr(source, "readinto"):
        raise TypeError(f"{name} must be a path or a file open in binary mode, got {source!r}")


def check_texts(name, texts):
    """`texts`, a list, an array or a column of a table, as a list of str."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"{name} must be a list of str, got one text: {texts[:60]!r}")
    if is_table(texts):  # which Python goes through by the names of its columns
        raise TypeError(f"{name} must be a list of str, got a table: give the column that holds the texts")
    try:
        texts = texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)  # pyarrow gives no str
    except TypeError:
        raise TypeError(f"{name} must be a list of str, got {texts!r}") from None
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a list of str, got {text!r} at position {i}")
    return texts


def check_label_columns(name, labels):
    """Raise where a label, written in a column of a line, would begin another column or line."""
    for label in labels:
        if isinstance(label, str) and not label.isprintable() and any(blank in label for blank in "\t\n\r"):
            raise ValueError(f"{name} must hold no tab and no line end to be written in columns, got {label!r}")


def check_subword_lengths(min_chars, max_chars):
    """The lengths of the shortest and of the longest subwords, ints; 0 for the longest: there are none."""
    min_chars, max_chars = check_int("min_chars", min_chars, minimum=1), check_int("max_chars", max_chars, minimum=0)
    if 0 < max_chars < min_chars:
        raise ValueError(f"max_chars must be 0, or at least min_chars ({min_chars}), got {max_chars}")
    return min_chars, max_chars
