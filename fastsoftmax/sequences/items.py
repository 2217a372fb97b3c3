"""Items of sequences as codes."""

import numpy as np

from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.validation import check_sequences, encode_labels, learn_classes


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
