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
    codes = (
        encode_labels(labels, items, unknown=-1, name=name).astype(np.int32) if len(labels) else np.empty(0, np.int32)
    )
    known = codes >= 0
    if known.all():
        return Sequences(codes, indptr)
    return Sequences(codes[known], np.append(0, np.cumsum(known))[indptr])
