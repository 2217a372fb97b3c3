"""Items of sequences as codes."""

import itertools

import numpy as np

from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.validation import check_sequences, encode_labels, family, learn_classes


def learned(sequences, name):
    """The distinct items of sequences, in the order of classes, and Sequences of their codes."""
    labels, indptr = check_sequences(name, sequences)
    items, codes = learn_classes(labels, name)
    return items, Sequences(codes.astype(np.int32), indptr)


def encoded(sequences, items, name):
    """Sequences of the codes of `items`; other items are left out."""
    labels, indptr = check_sequences(name, sequences, items)
    sequences = Sequences(codes_of(labels, items, name), indptr)
    known = sequences.ids >= 0
    return sequences if known.all() else sequences.kept(known)


def codes_of(labels, known, name):
    """The codes of checked labels among known ones, int32; -1 for others."""
    if not len(labels):
        return np.empty(0, np.int32)
    return encode_labels(labels, known, unknown=-1, name=name).astype(np.int32)


def merged(known, labels, name):
    """Known labels and further ones together, in the order of classes, and the codes there of either.

    Returns
    -------
    both : (n,) array
    of_known, of_labels : integer arrays, which say where each is among `both`
    """
    labels, _ = check_sequences(name, [known, labels])
    both, codes = learn_classes(labels, name)
    return both, codes[: len(known)], codes[len(known) :]


class ItemIndex:
    """The codes of items, for single sequences: a dict of all items, about 100 bytes each, where these are numbers or strings.

    Parameters
    ----------
    items : (n_items,) array, as `learned` returns it
    """

    def __init__(self, items):
        kind = family(items)
        is_number = kind == "integers" and items.dtype.kind in "iu"
        self._kinds = frozenset((int, np.int64, np.int32) if is_number else (str,) if kind == "strings" else ())
        self._items = items
        self._codes = dict(zip(items.tolist(), range(len(items)), strict=True)) if self._kinds else {}

    def codes(self, sequences, name):
        """A list of codes for each of a list of sequences, without items that are not known; errors as of `encoded`."""
        lists = [self._of_one(sequence) for sequence in sequences]
        if None not in lists:
            return lists
        found = encoded(sequences, self._items, name)
        ids, places = found.ids.tolist(), found.indptr.tolist()
        return [ids[begin:end] for begin, end in itertools.pairwise(places)]

    def _of_one(self, sequence):
        """The codes of a sequence; None where that takes another way."""
        if isinstance(sequence, np.ndarray) and sequence.ndim == 1 and sequence.dtype.kind in "iuU":
            sequence = sequence.tolist()
        if type(sequence) not in (list, tuple) or not self._kinds.issuperset(map(type, sequence)):
            return None
        get = self._codes.get
        return [code for item in sequence if (code := get(item)) is not None]
