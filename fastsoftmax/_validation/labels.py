"""Labels as users have them, and their codes."""

import numbers

import numpy as np


def check_labels(y, *, X_rows=None, name="y"):
    """`y` as a 1-D array of integers, bools or strings, one label a row."""
    given, y = y, np.asarray(y)
    if y.dtype.kind in "US" and not hasattr(given, "dtype"):
        y = np.array(given, dtype=object)  # NumPy would make strings of numbers among strings
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label a row, got shape {y.shape}")
    if X_rows is not None and len(y) != X_rows:
        raise ValueError(f"{name} has {len(y)} labels, but X has {X_rows} rows")
    if y.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(y) | (y != np.floor(y)))
        if bad.size:
            raise ValueError(f"{name} must hold class labels, got {y[bad[0]]} at position {bad[0]}")
        return y
    if y.dtype.kind == "O":
        kinds = {type(label) for label in y}
        for base, dtype in ((str, str), (numbers.Integral, np.int64)):
            if all(issubclass(kind, base) for kind in kinds):
                return y.astype(dtype)
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"{name} must hold either integers or strings, got objects of {names}")
    if y.dtype.kind not in "biuU":
        raise TypeError(f"{name} must hold integers, bools or strings, got an array of {y.dtype}")
    return y


def check_all_labels(classes):
    """All labels there will ever be, sorted and distinct, at least two."""
    if classes is None:
        raise ValueError("classes must be given in the first call of partial_fit")
    classes = np.unique(check_labels(classes, name="classes"))
    check_classes(classes, name="classes")
    return classes


def check_classes(classes, *, name="y"):
    """At least two labels."""
    if len(classes) < 2:
        raise ValueError(f"{name} must hold at least two classes, got {len(classes)}: {classes.tolist()}")


def encode_labels(y, classes, *, unknown=None, name="y"):
    """Positions of labels `y` in sorted `classes`; `unknown` for others, or ValueError where that is None."""
    try:
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    except TypeError:
        raise TypeError(f"{name} holds labels of {y.dtype}, but the classes are {classes.dtype}") from None
    missing = classes[codes] != y
    if unknown is None and missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise ValueError(f"{name} holds {y[at]!r} at position {at}, which is not among the {len(classes)} classes")
    return np.where(missing, unknown, codes) if missing.any() else codes
