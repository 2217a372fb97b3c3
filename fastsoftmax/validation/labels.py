"""Labels as users have them: how they are checked and told apart. `classes` has what is learned from them."""

import itertools
import numbers

import numpy as np

_FAMILIES = {"b": "bools", "i": "integers", "u": "integers", "f": "integers"}  # floats have to be integers here
_FAMILIES |= {"U": "strings", "S": "bytes", "M": "dates", "m": "durations"}
_BASES = {
    str: "strings",
    bytes: "bytes",
    np.datetime64: "dates",
    np.timedelta64: "durations",
    (bool, np.bool_): "bools",
}
_BASES |= {
    (numbers.Integral, float, np.floating): "integers"
}  # after bools and durations, which are integers to Python
EXACT_FLOATS = 2.0**53  # from here on not every integer is a float64
MAX_FIXED_BYTES = 256  # of a label in an array of a fixed width, in which each takes as much as the longest
LISTS = (list, set, np.ndarray)  # what may hold the labels of one row; tuples and frozensets are labels themselves


def as_label_array(y):
    """`y` as an array that still tells its labels apart: NumPy would turn numbers among strings into strings, tuples into a
    second dimension, and masked labels into what lies below the mask."""
    if isinstance(y, (list, tuple)) and y:
        kinds = set(map(type, y))
        if kinds in ({np.datetime64}, {np.timedelta64}):
            return np.asarray(y)
        nested = any(issubclass(kind, LISTS) for kind in kinds)
        is_array = _is_array_like(y) if nested else len(kinds) == 1 and kinds <= {bool, int, float}
        a = np.asarray(y) if is_array else None
        if a is None or (kinds == {int} and a.dtype.kind == "f"):  # too large for any integer type
            a = np.fromiter(y, dtype=object, count=len(y))
        return a
    a = np.asarray(y)
    if np.ma.is_masked(y):
        a = a.astype(object)
        a[np.ma.getmaskarray(y)] = None
    return a.astype(object) if a.dtype.kind == "T" else a


def _is_array_like(rows):
    """Whether a list of lists stands for an array: its rows are of equal length and hold nothing but numbers."""
    shapes = {np.shape(row) if isinstance(row, np.ndarray) else (len(row),) for row in rows if isinstance(row, LISTS)}
    if shapes == {()}:
        return True
    if len(shapes) > 1 or shapes == {(0,)} or not all(isinstance(row, (list, np.ndarray)) for row in rows):
        return False
    kinds = {row.dtype.type for row in rows if isinstance(row, np.ndarray)}
    kinds.update(*(map(type, row) for row in rows if isinstance(row, list)))
    return all(issubclass(kind, (int, float, np.number, np.bool_)) for kind in kinds)


def are_label_lists(y):
    """Whether a label array holds a list, a set or an array of labels for each row, rather than one label."""
    if y.dtype.kind != "O" or y.ndim != 1 or not len(y) or not isinstance(y[0], LISTS):
        return False
    return all(isinstance(row, LISTS) for row in y)


def check_labels(y, *, X_rows=None, name="y", ignore_label=None):
    """Labels as a 1-D array of integers, bools, strings, bytes, dates or other hashable objects, one for each row that counts.

    Strings and bytes that do not stand in an array already are objects: a fixed width would make all as long as the longest.

    Returns
    -------
    labels : 1-D array in the machine's byte order, without those that equal `ignore_label`
    counted : (n_rows,) bool, which rows count, or None if all do
    """
    y = as_label_array(y)
    if y.ndim == 2 and y.shape[1] == 1:
        from sklearn.utils.validation import column_or_1d

        y = column_or_1d(y, warn=True)
    if y.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label a row, got shape {y.shape}")
    if are_label_lists(y):
        raise ValueError(f"{name} must hold one label a row here, got {y[0]!r} at position 0")
    if X_rows is not None and len(y) != X_rows:
        raise ValueError(f"{name} has {len(y)} labels, but X has {X_rows} rows")
    return checked_labels(name, y, np.arange(len(y)), ignore_label)


def checked_labels(name, y, rows, ignore_label=None):
    """What `check_labels` returns, of a 1-D array of labels; `rows`: the position of each in what the user gave."""
    counted = None if ignore_label is None else ~equal(y, ignore_label)
    if counted is None or counted.all():
        return _as_labels(name, y, rows), None
    return _as_labels(name, y[counted], rows[counted]), counted


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


def equal(y, label):
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


# -- families: labels of different ones are never equal --


def family(labels):
    """What kind of labels an array holds, in a word: "integers", "strings", ..., or "objects" where there are several kinds.

    Missing labels do not matter.
    """
    if labels.dtype.kind != "O":
        return _FAMILIES.get(labels.dtype.kind, "objects")
    families = {_family_of(kind) for kind in set(map(type, labels)) - {type(None)}}
    return families.pop() if len(families) == 1 else "objects"


def _family_of(kind):
    return next((name for base, name in _BASES.items() if issubclass(kind, base)), "objects")


def first_of_other_family(y, classes):
    """The position of the first label of `y` that can be none of `classes`, as a string can be no number; or None."""
    expected = family(classes)
    if expected == "objects" or not len(y):
        return None
    alike = {expected, "bools", "integers"} if expected in ("bools", "integers") else {expected}
    if y.dtype.kind != "O":
        return None if family(y) in alike else 0
    if {_family_of(kind) for kind in set(map(type, y))} <= alike:
        return None
    return next(i for i, label in enumerate(y) if _family_of(type(label)) not in alike)


# -- arrays --


def as_text_array(labels, kind=str):
    """A list of strings or bytes as an array: of a fixed width if no label is long or ends in NUL, otherwise of objects.

    In an array of a fixed width each label takes as much memory as the longest, and loses NULs at its end.
    """
    width, end = max(map(len, labels), default=0), "\0" if kind is str else b"\0"
    dtype = np.dtype((kind, max(width, 1)))
    is_fixed = dtype.itemsize <= MAX_FIXED_BYTES and not any(label.endswith(end) for label in labels)
    return np.array(labels, dtype) if is_fixed else np.fromiter(labels, object, len(labels))


def _as_labels(name, y, rows):
    """1-D labels `y`, as an array of their own dtype if they have one; `rows`: where each stood in the user's array."""
    if y.dtype.kind == "O":
        return _objects(name, y, rows)
    if y.dtype.kind == "f":
        _check_integral(name, y, rows)
        y = y.astype(np.float64) if y.dtype.itemsize > 8 else y
    elif y.dtype.kind in "mM":
        _check_none_missing(name, np.isnat(y), y, rows)
    elif y.dtype.kind not in "biuUS":
        raise TypeError(
            f"{name} must hold integers, bools, strings, dates or hashable objects, got an array of {y.dtype}"
        )
    return y if y.dtype.isnative else y.astype(y.dtype.newbyteorder("="))


def _check_integral(name, y, rows):
    """Raise if a float is not an integer, so no label; the message begins as scikit-learn's does."""
    bad = np.flatnonzero(~np.isfinite(y) | (y != np.floor(y)))
    if bad.size:
        hint = "; ignore_label=nan leaves missing labels out" if np.isnan(y[bad[0]]) else ""
        raise ValueError(
            f"Unknown label type: {name} must hold class labels, got {y[bad[0]]} at position {rows[bad[0]]}{hint}"
        )
    bits = min(np.finfo(y.dtype).nmant + 1, 53)
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
    """Objects that are numbers in the dtype that NumPy has for them; others as objects, with NumPy's scalars as Python's."""
    kinds = set(map(type, y))
    for base in (str, bytes):
        if kinds and all(issubclass(kind, base) for kind in kinds):
            # members of an enumeration are labels by the text that they hold, not by their names
            exact = str.__str__ if base is str else bytes.__bytes__
            return y if kinds == {base} else np.fromiter(map(exact, y), object, len(y))
    if kinds in ({np.datetime64}, {np.timedelta64}):
        return _as_labels(name, np.array(y.tolist()), rows)
    if kinds and kinds <= {bool, np.bool_}:
        return y.astype(bool)
    if kinds and all(issubclass(kind, numbers.Integral) for kind in kinds) and family(y) == "integers":
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= min(y) and max(y) <= np.iinfo(dtype).max:
                return y.astype(dtype)
    plain = (np.integer, np.floating, np.bool_, np.str_, np.bytes_)
    if any(issubclass(kind, plain) for kind in kinds):
        y = np.fromiter((label.item() if isinstance(label, plain) else label for label in y), object, len(y))
    _check_hashable(name, y, rows)
    kinds = set(map(type, y))
    _check_none_missing(name, np.fromiter(map(is_missing, y), bool, len(y)), y, rows)
    floats = np.fromiter((isinstance(label, float) for label in y), bool, len(y))
    _check_integral(name, y[floats].astype(np.float64), rows[floats])
    as_floats = kinds and kinds <= {int, float} and float in kinds and max(map(abs, y)) < EXACT_FLOATS
    return y.astype(np.float64) if as_floats else y


def _check_hashable(name, y, rows):
    for label, row in zip(y, rows, strict=True):
        try:
            hash(label)
        except TypeError:
            raise TypeError(f"{name} must hold hashable labels, got {label!r} at position {row}") from None


def one_by_one(labels, chunk=1 << 16):
    """An iterator over the labels of an array as Python's objects, few at a time where these are made on the way."""
    if labels.dtype.kind == "O":
        return iter(labels.tolist())
    return itertools.chain.from_iterable(labels[i : i + chunk].tolist() for i in range(0, len(labels), chunk))
