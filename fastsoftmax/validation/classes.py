"""Classes, which are the distinct labels in order, and the codes of labels, which are their positions among the classes."""

import collections
import itertools

import numpy as np

from fastsoftmax.validation.class_facts import facts, first_of_other_family
from fastsoftmax.validation.labels import as_text_array, check_labels, equal, family, in_unit, one_by_one
from fastsoftmax.validation.scalars import check_int

SEARCHES = 8  # classes that go into a dict while one label is searched for


def learn_classes(y, name="y"):
    """The distinct labels of a checked `y`, ascending if they can be ordered, else in the order of their first appearance;
    and the codes of `y`."""
    if y.dtype.kind not in "USO":
        return np.unique(y, return_inverse=True)
    found, codes = _numbered(y)
    kinds = set(map(type, found))
    if y.dtype.kind == "O" and not kinds <= {str}:
        _check_one_type_each(name, y, found)
    ascending = _ascending(found, is_ordered=kinds in ({str}, {bytes}))
    if ascending is None:
        return np.fromiter(found, object, len(found)), codes
    places = dict(zip(ascending, range(len(found)), strict=True))
    rank = np.fromiter(map(places.__getitem__, found), np.int64, len(found))
    if kinds in ({str}, {bytes}):
        return as_text_array(ascending, *kinds), rank[codes]
    return np.fromiter(ascending, object, len(found)), rank[codes]


def _numbered(y):
    """The distinct labels in a list, in the order of their first appearance, and the place there of each label of `y`."""
    index = collections.defaultdict(itertools.count().__next__)
    codes = np.fromiter(map(index.__getitem__, one_by_one(y)), np.int64, len(y))
    return list(index), codes


def _check_one_type_each(name, y, found):
    """Raise if labels of different types are equal, as True and 1 are, or ("a", True) and ("a", 1): one would be lost."""
    kinds = set(map(type, y))
    type_of = type if kinds.isdisjoint((tuple, frozenset)) else _types
    if (len(kinds) == 1 and type_of is type) or len({(type_of(label), label) for label in y}) == len(found):
        return
    first = {}
    for label in y:
        other = first.setdefault(label, label)
        if type_of(other) != type_of(label):
            raise ValueError(f"{name} holds {other!r} and {label!r}, which are equal: make them labels of one type")


def _types(label):
    """The type of a label, and those of its parts."""
    if isinstance(label, frozenset):
        return type(label), frozenset((part, _types(part)) for part in label)
    return (type(label), *map(_types, label)) if isinstance(label, tuple) else type(label)


def _ascending(labels, *, is_ordered):
    """Labels in ascending order, or None if they have no order: sets, say, can be compared, but not lined up."""
    try:
        ordered = sorted(labels)
        return ordered if is_ordered or all(a < b for a, b in itertools.pairwise(ordered)) else None
    except TypeError:
        return None


def check_not_ignored(name, classes, ignore_label):
    """Raise if `ignore_label`, the label of rows that do not count, is among the classes."""
    if ignore_label is not None and equal(classes, ignore_label).any():
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


def are_same_classes(classes, others):
    """Whether they are equal and of one kind: to NumPy, durations are equal to their numbers."""
    return len(classes) == len(others) and family(classes) == family(others) and bool(np.array_equal(classes, others))


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
    kind, expected = family(labels), family(classes)
    if expected not in (kind, "objects"):
        dtype = learn_classes(labels, name="labels")[0].dtype
        raise TypeError(f"labels holds {kind} ({dtype}), but the classes are {expected} ({classes.dtype})")
    known = np.flatnonzero(_codes(labels, classes) >= 0)
    if known.size:
        label = labels[known[:1]].tolist()[0]
        raise ValueError(f"labels holds {label!r} at position {known[0]}, which is a class already")
    if classes.dtype.kind in "USO":  # in an array of strings each would be as long as the longest
        both = np.fromiter(itertools.chain(one_by_one(classes), one_by_one(labels)), object, len(classes) + len(labels))
    else:
        both = _joined(classes, labels)
    if both is None or family(both) != expected:
        raise TypeError(
            f"labels of {labels.dtype} and classes of {classes.dtype} have no common type that holds them all"
        )
    both, codes = learn_classes(both, name="labels")
    at = codes[: len(classes)]
    if (at[1:] < at[:-1]).any():  # labels that had no order have one now
        raise ValueError("labels must keep the order of the classes")
    return both, at


def _joined(classes, labels):
    """Both in one array, of the dtype of the classes if that holds all labels; None if there is no such dtype."""
    try:
        common = np.result_type(classes, labels)
    except TypeError:
        return None
    if common.kind == "O":
        return np.concatenate([classes, labels])
    for dtype in (classes.dtype, common):
        if dtype.kind != classes.dtype.kind and "f" in (dtype.kind, classes.dtype.kind):
            continue  # integers stay integers
        parts = [_converted(a, dtype) for a in (classes, labels)]
        if all(fits.all() for _, fits in parts):
            return np.concatenate([a for a, _ in parts])
    return None


def encode_labels(y, classes, *, unknown=None, name="y", rows=None):
    """Positions of checked labels `y` in `classes`; for other labels `unknown`, or ValueError if that is None.

    It is always a ValueError if labels are of another kind than all classes: numbers, say, where these are strings.

    rows : where each of the labels stood in the user's array; None: they are all of it
    """
    at = first_of_other_family(y, classes)
    if at is not None:
        what = f"{name} holds {family(y)} ({y.dtype}), the classes are {family(classes)} ({classes.dtype})"
        raise ValueError(f"{_not_among(name, y, at, rows, classes)}: {what}")
    codes = _codes(y, classes)
    missing = codes < 0
    if not missing.any():
        return codes
    if missing.all() and facts(classes).family == "objects":
        kinds, expected = (sorted({kind.__name__ for kind in map(type, a.tolist())}) for a in (y, classes))
        if not set(kinds) & set(expected):
            what = f"{name} holds {', '.join(kinds)}, the classes are {', '.join(expected)}"
            raise ValueError(f"{_not_among(name, y, 0, rows, classes)}: {what}")
    if unknown is None:
        raise ValueError(_not_among(name, y, int(missing.argmax()), rows, classes))
    return np.where(missing, unknown, codes)


def _not_among(name, y, at, rows, classes):
    label, position = y[at : at + 1].tolist()[0], at if rows is None else rows[at]
    return f"{name} holds {label!r} at position {position}, which is not among the {len(classes)} classes"


def known_codes(labels, classes):
    """Positions in `classes` of a list of labels, each of any type; -1 if a label is not among them."""
    is_date = classes.dtype.kind in "mM"  # of which NumPy makes integers in some units, and Python's dates in others
    index = {label: code for code, label in enumerate(classes.tolist()) if not (is_date and isinstance(label, int))}

    def code(label):
        if is_date and isinstance(label, classes.dtype.type):
            return _codes(np.array([label]), classes)[0]
        return index.get(label, -1)

    return np.fromiter(map(code, labels), np.int64, len(labels))


def _codes(y, classes):
    """Positions in `classes`; -1 if a label is not among them."""
    if classes.dtype.kind in "US":
        return _codes_of_text(y, classes)
    if "O" in (y.dtype.kind, classes.dtype.kind):
        if len(y) * SEARCHES < len(classes) and _is_searched(y, classes):
            return _searched(y, classes)
        index = dict(zip(classes.tolist(), range(len(classes)), strict=True))
        return np.fromiter(map(index.get, one_by_one(y), itertools.repeat(-1)), np.int64, len(y))
    y, fits = _converted(y, classes.dtype)
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(fits & (classes[codes] == y), codes, -1)


def _is_searched(y, classes):
    """Whether classes are texts in order and the labels of their kind, so that these can be found without a look at all."""
    known = facts(classes)
    return known.family == family(y) and known.is_ascending_text


def _searched(y, classes):
    """Positions of strings or bytes among classes as objects, ascending; -1 if one is not among them."""
    labels = np.fromiter(one_by_one(y), object, len(y))
    codes = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return np.where(classes[codes] == labels, codes, -1)


def _codes_of_text(y, classes):
    """Positions of strings or bytes in an array of a fixed width, which holds no longer ones and none that end in NUL."""
    found, numbers = _numbered(y)
    kind, end = (str, "\0") if classes.dtype.kind == "U" else (bytes, b"\0")
    width = classes.dtype.itemsize // np.dtype((kind, 1)).itemsize
    fits = np.fromiter((len(label) <= width and not label.endswith(end) for label in found), bool, len(found))
    distinct = np.array([label if fit else kind() for label, fit in zip(found, fits, strict=True)], (kind, width))
    codes = np.minimum(np.searchsorted(classes, distinct), len(classes) - 1)
    return np.where(fits & (classes[codes] == distinct), codes, -1)[numbers]


def _converted(y, dtype):
    """Numbers, dates or durations in another dtype of their family, and which of them it holds exactly.

    NumPy would compare integers of different dtypes as floats, and dates of different units as ones that may overflow.
    """
    if y.dtype == dtype or dtype.kind == "b":
        return y, np.ones(len(y), bool)
    if dtype.kind in "mM":
        return in_unit(y, dtype)
    if dtype.kind == "f":
        most = 2 ** min(np.finfo(dtype).nmant + 1, 53)  # classes of this dtype lie in its limits too
        wide = y.astype(np.float64) if y.dtype.kind == "f" else y
        fits = (wide >= -most) & (wide <= most)
        return np.where(fits, y, 0).astype(dtype), fits
    limits = np.iinfo(dtype)
    if y.dtype.kind == "f":
        beyond = float(limits.max) + 1  # exactly, for 2**63 - 1 and 2**64 - 1 too, which round up to it
        fits = (y >= float(limits.min)) & (y < beyond)
    else:
        fits = np.ones(len(y), bool) if y.dtype.kind == "b" else (y >= limits.min) & (y <= limits.max)
    return np.where(fits, y, 0).astype(dtype), fits


def padding(dtype):
    """What stands for "no label" among labels of `dtype`."""
    if dtype.kind in "mM":
        return dtype.type("NaT")
    return {"U": "", "S": b"", "O": None}.get(dtype.kind, -1)
