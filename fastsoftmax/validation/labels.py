"""Labels as users have them: how they are checked and told apart. `classes` has what is learned from them."""

import array
import collections.abc
import itertools
import numbers

import numpy as np
from scipy import sparse

from fastsoftmax.runtime.warning import warn
from fastsoftmax.validation.foreign import as_label_source

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
_PLAIN = (np.integer, np.floating, np.bool_, np.str_, np.bytes_)
EXACT_FLOATS = 2.0**53  # from here on not every integer is a float64
MAX_FIXED_BYTES = 256  # of a label in an array of a fixed width, in which each takes as much as the longest
DATES = ({np.datetime64}, {np.timedelta64})  # the sets of types of which a list is an array
_ITERATED = (collections.abc.Iterator, collections.abc.ValuesView)  # what holds labels in order, but is no sequence
LISTS = (list, set, np.ndarray)  # what may hold the labels of one row; tuples and frozensets are labels themselves


def as_label_array(y):
    """`y` as an array that still tells its labels apart: NumPy would turn numbers among strings into strings, lists and tuples
    into a second dimension, dates too far for their common unit into others, masked labels into what lies below the mask."""
    if _is_other_sequence(y):
        y = list(y)
    if isinstance(y, (list, tuple)) and y:
        kinds = set(map(type, y))
        if kinds in DATES:
            return _as_dates(y)
        nested = any(issubclass(kind, LISTS) for kind in kinds)
        is_array = _are_scalars(y) if nested else len(kinds) == 1 and kinds <= {bool, int, float}
        a = np.asarray(y) if is_array else None
        if a is None or (kinds == {int} and a.dtype.kind == "f"):  # too large for any integer type
            a = np.fromiter(y, dtype=object, count=len(y))
        return a
    a = np.asarray(y)
    if a.dtype.kind == "f" and _are_pandas_integers(y):
        a = np.asarray(y.astype(object))
    if np.ma.is_masked(y):
        a = _without_masked(a, np.ma.getmaskarray(y))
    if a.dtype.kind == "O" and a.ndim == 1 and len(a) and isinstance(a[0], (np.datetime64, np.timedelta64)):
        return _as_dates(a.tolist()) if set(map(type, a)) in DATES else a
    return a.astype(object) if a.dtype.kind == "T" else a


def _is_other_sequence(y):
    """Whether `y` holds objects one after the other, as a deque does, but is none of the sequences that NumPy reads."""
    if isinstance(y, (list, tuple, str, bytes, bytearray, memoryview, range, array.array)):
        return False
    return isinstance(y, collections.abc.Sequence) and not hasattr(y, "__array__")


def _are_pandas_integers(y):
    """Whether floats are what NumPy makes of a pandas column of integers, because some of them are missing."""
    dtype = getattr(y, "dtype", None)
    return dtype is not None and not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "f") != "f"


def _without_masked(a, mask):
    """A copy with missing labels where these are masked: NaT, NaN, or None among objects."""
    missing = {"m": "NaT", "M": "NaT", "f": np.nan}.get(a.dtype.kind)
    if missing is None:
        # NumPy's scalars, which keep their type, where NumPy would make Python's
        a = np.fromiter(a, object, len(a)) if a.ndim == 1 else a.astype(object)
    out = a.copy()
    out[mask] = missing
    return out


def _as_dates(labels):
    """A list of dates, or of durations, as an array in one unit; as objects where no unit holds all of them exactly."""
    dtypes = {label.dtype for label in labels}
    try:
        dtype = np.result_type(*dtypes)
        parts = {given: in_unit(np.array([i for i in labels if i.dtype == given]), dtype)[1] for given in dtypes}
    except (TypeError, OverflowError):
        parts = {None: np.zeros(1, bool)}
    if all(fits.all() for fits in parts.values()):
        return np.array(labels, dtype)
    return np.fromiter(labels, object, len(labels))


def in_unit(dates, dtype):
    """Dates or durations in the unit of `dtype`, and which of them are the same there: NumPy lets others overflow."""
    if dates.dtype == dtype:
        return dates, np.ones(len(dates), bool)
    dates = dates.astype(dates.dtype.newbyteorder("="))
    try:
        np.promote_types(dates.dtype, dtype)
        converted = dates.astype(dtype)
        back = converted.astype(dates.dtype)
    except (TypeError, OverflowError):  # years and days, say, have no common measure as durations
        return np.full(len(dates), "NaT", dtype), np.zeros(len(dates), bool)
    return converted, back.view(np.int64) == dates.view(np.int64)


def _are_scalars(labels):
    """Whether the arrays among labels are numbers of no dimension, rather than the labels of a row."""
    return all(isinstance(a, np.ndarray) and not a.ndim for a in labels if isinstance(a, LISTS))


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
    y = as_label_array(as_label_source(name, y))
    if are_label_lists(y) and all(map(_is_one_label, y)):
        y = as_label_array([row[0] for row in y]).reshape(-1, 1)
    if y.ndim == 2 and y.shape[1] == 1:
        from sklearn.exceptions import DataConversionWarning

        what = (
            "A column-vector y was passed when a 1d array was expected"  # scikit-learn's words, which its checks expect
        )
        warn(f"{what}. Please change the shape of y to (n_samples,), for example using ravel().", DataConversionWarning)
        y = y.ravel()
    if y.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label a row, got {_shape(y)}")
    if are_label_lists(y):
        raise ValueError(f"{name} must be 1-D, one label a row here, got {y[0]!r} at position 0")
    if X_rows is not None and len(y) != X_rows:
        raise ValueError(f"{name} has {len(y)} labels, but X has {X_rows} rows")
    return checked_labels(name, y, np.arange(len(y)), ignore_label)


def _is_one_label(row):
    """Whether a list or an array of one element stands for a row, as in a column."""
    return row.shape == (1,) if isinstance(row, np.ndarray) else isinstance(row, list) and len(row) == 1


def _shape(y):
    """The shape of an array; where NumPy saw a single object in what is no sequence, what it is, and what to do."""
    if y.ndim or y.dtype.kind not in "OUS":
        return f"shape {y.shape}"
    given = y.item()
    if sparse.issparse(given):
        return f"a {type(given).__name__} of shape {given.shape}"
    hint = ", so give list(...) of it" if isinstance(given, _ITERATED) else ""
    return f"shape (): a {type(given).__name__} is no sequence of labels{hint}"


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
    except (TypeError, ValueError):  # the latter from a duration of NumPy without a unit
        raise TypeError(f"ignore_label must be a label, got {label!r}") from None


def is_missing(label):
    """Whether a label stands for a missing one: None, NaN, NaT, pandas.NA."""
    try:
        return label is None or bool(label != label)
    except (TypeError, ValueError, ArithmeticError):  # a signalling NaN of decimal raises the last one
        return True


def equal(y, label):
    """Which labels equal `label`; a missing one equals every missing one."""
    if y.dtype.kind == "O":
        same = is_missing if is_missing(label) else (lambda other: not is_missing(other) and _same(other, label))
        return np.fromiter((same(other) for other in y), bool, len(y))
    if is_missing(label):
        return y != y
    if family(y) != family_of(type(label)):
        return np.zeros(len(y), bool)
    if y.dtype.kind in "mM":
        label, fits = in_unit(np.array([label]), y.dtype)
        return (y == label[0]) & fits[0]
    if y.dtype.kind in "US" and label.endswith("\0" if y.dtype.kind == "U" else b"\0"):
        return np.zeros(len(y), bool)  # NumPy would not see the NUL
    is_float = isinstance(label, (float, np.floating))
    if y.dtype.kind in "iu" and is_float and np.isfinite(label) and label == np.floor(label):
        label = int(label)  # integers beyond 2**53 are not to be compared as floats
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
    families = {family_of(kind) for kind in set(map(type, labels)) - {type(None)}}
    return families.pop() if len(families) == 1 else "objects"


def family_of(kind):
    return next((name for base, name in _BASES.items() if issubclass(kind, base)), "objects")


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
    if kinds in DATES:
        return _as_labels(name, _checked_dates(name, y, rows), rows)
    if len(kinds) == 1 and family(y) == "integers" and issubclass(*kinds, (np.integer, np.floating)):
        return _as_labels(name, y.astype(*kinds), rows)  # integers of NumPy
    if kinds and kinds <= {bool, np.bool_}:
        return y.astype(bool)
    if kinds and all(issubclass(kind, numbers.Integral) for kind in kinds) and family(y) == "integers":
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= min(y) and max(y) <= np.iinfo(dtype).max:
                return y.astype(dtype)
    _check_hashable(name, y, rows)
    _check_none_missing(name, np.fromiter(map(is_missing, y), bool, len(y)), y, rows)
    if not kinds.isdisjoint((tuple, frozenset)):
        _check_no_missing_parts(name, y, rows)
    floats = np.fromiter((isinstance(label, (float, np.floating)) for label in y), bool, len(y))
    _check_integral(name, y[floats].astype(np.longdouble if np.longdouble in kinds else np.float64), rows[floats])
    if any(issubclass(kind, np.generic) for kind in kinds):
        y = np.fromiter(map(_as_python, y), object, len(y))
    kinds = set(map(type, y))
    if not (kinds and kinds <= {int, float} and float in kinds and max(map(abs, y)) < EXACT_FLOATS):
        return y
    both = {i for i in y if type(i) is int} & {i for i in y if type(i) is float}
    if both:
        label = min(both)
        raise ValueError(f"{name} holds {int(label)} and {float(label)}, which are equal: make them labels of one type")
    return y.astype(np.float64)


def _as_python(label):
    """A number, string or bool of NumPy as Python's; dates and durations stay, as Python's lack some units."""
    if not isinstance(label, _PLAIN) or isinstance(label, np.timedelta64):
        return label
    return float(label) if isinstance(label, np.longdouble) else label.item()


def _checked_dates(name, y, rows):
    """Objects that all are dates, or durations, as an array in one unit."""
    a = _as_dates(y.tolist())
    if a.dtype.kind != "O":
        return a
    at = next(i for i, label in enumerate(y) if label.dtype != y[0].dtype)
    raise ValueError(
        f"{name} holds {y[0]!r} at position {rows[0]} and {y[at]!r} at position {rows[at]}, and no unit holds all of its "
        f"{family(y)} exactly: give them in one unit"
    )


def _check_no_missing_parts(name, y, rows):
    """Raise if a tuple or a frozenset holds NaN: it would be equal to no other, or only to itself."""

    def is_wrong(label):
        if isinstance(label, (tuple, frozenset)):
            return any(map(is_wrong, label))
        return label is not None and is_missing(label)

    for label, row in zip(y, rows, strict=True):
        if is_wrong(label):
            raise ValueError(
                f"{name} must not hold NaN within a label, got {label!r} at position {row}: it is equal to no other; use "
                "None in its place"
            )


def _check_hashable(name, y, rows):
    for label, row in zip(y, rows, strict=True):
        try:
            hash(label)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must hold hashable labels, got {label!r} at position {row}") from None


def one_by_one(labels, chunk=1 << 16):
    """An iterator over the labels of an array as Python's objects, few at a time where these are made on the way."""
    if labels.dtype.kind == "O":
        return iter(labels.tolist())
    return itertools.chain.from_iterable(labels[i : i + chunk].tolist() for i in range(0, len(labels), chunk))
