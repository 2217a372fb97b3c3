"""The items that lists of predictions are from: all of them, and how popular each is."""

from collections.abc import Mapping

import numpy as np

from fastsoftmax.validation.arrays import as_real_array
from fastsoftmax.validation.classes import encode_labels, padding
from fastsoftmax.validation.labels import check_labels
from fastsoftmax.validation.metrics import distinct_labels
from fastsoftmax.validation.scalars import check_int


def check_catalogue(name, labels, n_classes=None):
    """All labels that there are, distinct and in order: those of `labels`, or 0 to n_classes - 1."""
    if (labels is None) == (n_classes is None):
        raise ValueError(f"one of {name} and n_classes must be given, got {'neither' if labels is None else 'both'}")
    if labels is None:
        return np.arange(check_int("n_classes", n_classes, minimum=1))
    labels, _ = distinct_labels(name, labels)
    if not len(labels):
        raise ValueError(f"{name} must hold at least one label, got none")
    return labels


def check_predicted(name, topk, labels, *, unknown=None):
    """The places of predictions (n, k) among `labels`, distinct ones in order; -1 for padding.

    unknown : what stands for other labels; None: ValueError
    """
    flat = topk.reshape(-1)
    predicted = np.flatnonzero(~_is_padding(flat))
    codes = np.full(flat.size, -1)
    if predicted.size:
        given, _ = check_labels(flat[predicted], name=name)
        codes[predicted] = encode_labels(given, labels, unknown=unknown, name=name, rows=predicted // topk.shape[1])
    return codes.reshape(topk.shape)


def _is_padding(labels):
    if labels.dtype.kind == "O":
        return np.fromiter((label is None or label == -1 for label in labels.tolist()), bool, len(labels))
    return np.isnat(labels) if labels.dtype.kind in "mM" else labels == padding(labels.dtype)


def check_popularity(name, given):
    """The labels that have a popularity, ascending, and their numbers: finite and not negative, float64.

    given : a dict from label to number, or an array of the numbers of 0, 1, 2 and so on
    """
    labels = None
    if isinstance(given, Mapping):
        labels, places = distinct_labels(name, list(given))
        given = as_real_array(name, list(given.values()))[places]
    values = as_real_array(name, given).astype(np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} must have one dimension and at least one number, got shape {values.shape}")
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise ValueError(f"{name} must be finite and not negative, got {values[bad][0]} at position {bad.argmax()}")
    return (np.arange(len(values)) if labels is None else labels), values
