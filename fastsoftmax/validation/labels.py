"""Labels as users have them: how they are checked and told apart, and their codes."""

import itertools
import numbers

import numpy as np

from fastsoftmax.validation.scalars import check_int

_FAMILIES = {"b": "bools", "i": "integers", "u": "integers", "f": "integers"}  # floats have to be integers here
_FAMILIES |= {"U": "strings", "S": "bytes", "M": "dates", "m": "durations", "O": "objects"}
_EXACT_FLOATS = 2.0**53  # from here on not every integer is a float64


def as_label_array(y):
    """`y` as an array that still tells its labels apart: NumPy would turn numbers among strings into strings, and tuples
    into a second dimension."""
    if isinstance(y, (list, tuple)) and y:
        kinds = set(map(type, y))
        if all(issubclass(kind, (np.datetime64, np.timedelta64)) for kind in kinds):
            return np.asarray(y)
        nested = any(issubclass(kind, (list, np.ndarray)) for kind in kinds)
        a = np.asarray(y) if nested or (len(kinds) == 1 and kinds <= {bool, int, float}) else None
        if a is None or (kinds == {int} and a.dtype.kind == "f"):  # too large for any integer type
            a = np.fromiter(y, dtype=object, count=len(y))
        return a
    a = np.asarray(y)
    return a.astype(object) if a.dtype.kind == "T" else a


def check_labels(y, *, X_rows=None, name="y", ignore_label=None):
    """Labels as a 1-D array of integers, bools, strings, bytes, dates or other hashable objects, one for each row that counts.

    Returns
    -------
    labels : 1-D array, without those that equal `ignore_label`
    counted : (n_rows,) bool, which rows count, or None if all do
    """
    y = as_label_array(y)
    if y.ndim == 2 and y.shape[1] == 1:
        from sklearn.utils.validation import column_or_1d

        y = column_or_1d(y, warn=True)
    if y.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label a row, got shape {y.shape}")
    if X_rows is not None and len(y) != X_rows:
        raise ValueError(f"{name} has {len(y)} labels, but X has {X_rows} rows")
    counted = None if ignore_label is None else ~_equal(y, ignore_label)
    if counted is None or counted.all():
        return _as_labels(name, y, np.arange(len(y))), None
    return _as_labels(name, y[counted], np.flatnonzero(counted)), counted


def check_ignore_label(label):
    """Raise unless `label` can be a label: hashable, and not an array."""
    try:
        hash(label)
    except TypeError:
        raise TypeError(f"ignore_label must be a label, got {label!r}") from None


def is_missing(label):
    """Whether a label stands for a missing one: None, NaN, NaT, pandas.NA."""
    try:
        return label is None or bool(label != label)
    except (TypeError, ValueError):
        return True


def _equal(y, label):
    """Which labels equal `label`; a missing one equals every missing one."""
    if y.dtype.kind == "O":
        same = is_missing if is_missing(label) else (lambda other: not is_missing(other) and _same(other, label))
        return np.fromiter((same(other) for other in y), bool, len(y))
    if is_missing(label):
        return y != y
    if y.dtype.kind == "b" or isinstance(label, (bool, np.bool_)):
        return (y == label) & (y.dtype.kind == "b" and isinstance(label, (bool, np.bool_)))
    if _FAMILIES.get(y.dtype.kind) != _FAMILIES.get(np.asarray(label).dtype.kind):
        return np.zeros(len(y), bool)
    return y == label


def _same(a, b):
    """Whether two labels are equal, and both or neither of them bools."""
    return isinstance(a, (bool, np.bool_)) == isinstance(b, (bool, np.bool_)) and bool(a == b)


def _as_labels(name, y, rows):
    """1-D labels `y`, as an array of their own dtype if they have one; `rows`: where each stood in the user's array."""
    if y.dtype.kind == "O":
        return _objects(name, y, rows)
    if y.dtype.kind == "f":
        _check_integral(name, y, rows)
    elif y.dtype.kind in "mM":
        _check_none_missing(name, np.isnat(y), y, rows)
    elif y.dtype.kind not in "biuUS":
        raise TypeError(
            f"{name} must hold integers, bools, strings, dates or hashable objects, got an array of {y.dtype}"
        )
    return y


def _check_integral(name, y, rows):
    """Raise if a float is not an integer, so no label; the message begins as scikit-learn's does."""
    bad = np.flatnonzero(~np.isfinite(y) | (y != np.floor(y)))
    if bad.size:
        hint = "; ignore_label=nan leaves missing labels out" if np.isnan(y[bad[0]]) else ""
        raise ValueError(
            f"Unknown label type: {name} must hold class labels, got {y[bad[0]]} at position {rows[bad[0]]}{hint}"
        )
    bits = np.finfo(y.dtype).nmant + 1
    bad = np.flatnonzero(np.abs(y) > 2.0**bits)
    if bad.size:
        raise ValueError(
            f"{name} holds {y[bad[0]]} at position {rows[bad[0]]}: {y.dtype} does not tell integers beyond 2**{bits} apart; "
            "give it as integers"
        )


def _check_none_missing(name, missing, y, rows):
    if missing.any():
        at = int(missing.argmax())
        raise ValueError(
            f"{name} must not hold missing labels, got {y[at]!r} at position {rows[at]}; ignore_label=nan leaves them out"
        )


def _objects(name, y, rows):
    """Objects of one kind in the dtype that NumPy has for it; otherwise as objects, with NumPy's scalars as Python's."""
    kinds = {type(label) for label in y}
    for base, dtype, end in ((str, str, "\0"), (bytes, bytes, b"\0")):
        if kinds and all(issubclass(kind, base) for kind in kinds):
            ends = any(label.endswith(end) for label in y)  # an array of strings would lose it
            return y if ends else y.astype(dtype)
    if kinds and kinds <= {bool, np.bool_}:
        return y.astype(bool)
    if kinds and all(issubclass(kind, numbers.Integral) for kind in kinds) and not kinds & {bool, np.bool_}:
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= min(y) and max(y) <= np.iinfo(dtype).max:
                return y.astype(dtype)
    plain = (np.integer, np.floating, np.bool_, np.str_, np.bytes_)
    if any(issubclass(kind, plain) for kind in kinds):
        y = np.fromiter((label.item() if isinstance(label, plain) else label for label in y), object, len(y))
    _check_hashable(name, y, rows)
    kinds = {type(label) for label in y}
    _check_none_missing(name, np.fromiter(map(is_missing, y), bool, len(y)), y, rows)
    floats = np.fromiter((isinstance(label, float) for label in y), bool, len(y))
    _check_integral(name, y[floats].astype(np.float64), rows[floats])
    as_floats = kinds and kinds <= {int, float} and float in kinds and max(map(abs, y)) < _EXACT_FLOATS
    return y.astype(np.float64) if as_floats else y


def _check_hashable(name, y, rows):
    for label, row in zip(y, rows, strict=True):
        try:
            hash(label)
        except TypeError:
            raise TypeError(f"{name} must hold hashable labels, got {label!r} at position {row}") from None


def learn_classes(y, name="y"):
    """The distinct labels of a checked `y`, ascending if they can be ordered, else in the order of their first appearance;
    and the codes of `y`."""
    if y.dtype.kind != "O":
        return np.unique(y, return_inverse=True)
    index = {}
    codes = np.fromiter((index.setdefault(label, len(index)) for label in y), np.int64, len(y))
    _check_one_type_each(name, y, index)
    found = list(index)
    order = np.arange(len(found)) if (ascending := _ascending(found)) is None else [index[label] for label in ascending]
    rank = np.empty(len(found), np.int64)
    rank[order] = np.arange(len(found))
    return np.fromiter((found[i] for i in order), object, len(found)), rank[codes]


def _check_one_type_each(name, y, index):
    """Raise if labels of different types are equal, as True and 1 are: one of them would be lost."""
    first = {}
    if len({(type(label), label) for label in y}) == len(index):
        return
    for label in y:
        other = first.setdefault(label, label)
        if type(other) is not type(label):
            raise ValueError(f"{name} holds {other!r} and {label!r}, which are equal: make them labels of one type")


def _ascending(labels):
    """Labels in ascending order, or None if they have no order: sets, say, can be compared, but not lined up."""
    try:
        ordered = sorted(labels)
        return ordered if all(a < b for a, b in itertools.pairwise(ordered)) else None
    except TypeError:
        return None


def check_not_ignored(name, classes, ignore_label):
    """Raise if `ignore_label`, the label of rows that do not count, is among the classes."""
    if ignore_label is not None and _equal(classes, ignore_label).any():
        raise ValueError(f"{name} must not hold ignore_label, {ignore_label!r}: rows with it do not count")


def check_all_labels(classes, n_classes=None):
    """All labels that there will ever be, distinct and in order, at least two: those of `classes`, or 0 to n_classes - 1."""
    if classes is not None and n_classes is not None:
        raise ValueError(f"classes and n_classes={n_classes} exclude each other")
    if n_classes is not None:
        return np.arange(check_int("n_classes", n_classes, minimum=2, maximum=np.iinfo(np.int32).max))
    if classes is None:
        raise ValueError(
            "classes must be given in the first call of partial_fit, or n_classes where they are 0, 1, 2, ..."
        )
    classes, _ = learn_classes(check_labels(classes, name="classes")[0], name="classes")
    check_classes(classes, name="classes")
    return classes


def check_classes(classes, *, name="y"):
    """Raise if there are fewer than two labels."""
    if len(classes) < 2:
        raise ValueError(f"{name} must hold at least two classes, got {len(classes)} class: {classes.tolist()}")


def check_stored_classes(classes):
    """Raise unless the classes of a stored model are distinct labels and, unless they are objects, ascending."""
    if classes.ndim != 1:
        raise ValueError(f"the model's classes have shape {classes.shape}")
    if classes.dtype.kind == "O":
        if len(set(classes.tolist())) < len(classes):
            raise ValueError("the model's classes are not all different")
    elif not (classes[1:] > classes[:-1]).all():
        raise ValueError("the model's classes are not in ascending order")


def check_new_classes(labels, classes):
    """The labels of `classes` and the new ones, in order, and where the old ones are among them, ascending."""
    labels, _ = check_labels(labels, name="labels")
    if not len(labels):
        raise ValueError("labels must hold at least one new class, got none")
    family, expected = _FAMILIES[labels.dtype.kind], _FAMILIES[classes.dtype.kind]
    if expected not in (family, "objects"):
        raise TypeError(f"labels holds {family} ({labels.dtype}), but the classes are {expected} ({classes.dtype})")
    known = np.flatnonzero(_codes(labels, classes) >= 0)
    if known.size:
        label = labels[known[:1]].tolist()[0]
        raise ValueError(f"labels holds {label!r} at position {known[0]}, which is a class already")
    if classes.dtype.kind == "O":
        labels = np.fromiter(labels.tolist(), object, len(labels))
    both = np.concatenate([classes, labels])
    if _FAMILIES[both.dtype.kind] != _FAMILIES[classes.dtype.kind] or (
        both.dtype.kind == "f" and np.abs(both).max() >= _EXACT_FLOATS
    ):
        raise TypeError(
            f"labels of {labels.dtype} and classes of {classes.dtype} have no common type that holds them all"
        )
    both, codes = learn_classes(both, name="labels")
    at = codes[: len(classes)]
    if (at[1:] < at[:-1]).any():  # labels that had no order have one now
        raise ValueError("labels must keep the order of the classes")
    return both, at


def encode_labels(y, classes, *, unknown=None, name="y", counted=None):
    """Positions of checked labels `y` in `classes`; for other labels `unknown`, or ValueError if that is None.

    counted : which of the user's labels `y` are, as `check_labels` returns it
    """
    codes = _codes(y, classes)
    missing = codes < 0
    if not missing.any():
        return codes
    if unknown is None:
        at = int(missing.argmax())
        label = y[at : at + 1].tolist()[0]
        at = at if counted is None else np.flatnonzero(counted)[at]
        raise ValueError(f"{name} holds {label!r} at position {at}, which is not among the {len(classes)} classes")
    return np.where(missing, unknown, codes)


def _codes(y, classes):
    """Positions in `classes`; -1 if a label is not among them."""
    if "O" in (y.dtype.kind, classes.dtype.kind):
        index = {label: code for code, label in enumerate(classes.tolist())}
        return np.fromiter((index.get(label, -1) for label in y.tolist()), np.int64, len(y))
    family, expected = _FAMILIES[y.dtype.kind], _FAMILIES[classes.dtype.kind]
    if family != expected and {family, expected} != {"bools", "integers"}:
        return np.full(len(y), -1)
    fits = np.ones(len(y), bool)
    if y.dtype != classes.dtype and expected == "integers":  # NumPy would compare different dtypes as floats
        y, fits = _as_integers(y, classes.dtype)
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(fits & (classes[codes] == y), codes, -1)


def _as_integers(y, dtype):
    """Numbers in a dtype of integers or floats, and which of them the dtype can hold."""
    if dtype.kind == "f":
        return y.astype(dtype), np.ones(len(y), bool)
    limits = np.iinfo(dtype)
    if y.dtype.kind == "f":
        fits = (y >= float(limits.min)) & (y < float(limits.max))
    else:
        fits = np.ones(len(y), bool) if y.dtype.kind == "b" else (y >= limits.min) & (y <= limits.max)
    return np.where(fits, y, 0).astype(dtype), fits


def padding(dtype):
    """What stands for "no label" among labels of `dtype`."""
    if dtype.kind in "mM":
        return dtype.type("NaT")
    return {"U": "", "S": b"", "O": None}.get(dtype.kind, -1)
