"""Rows with any number of labels each, given as lists, sets or arrays of labels."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.validation.classes import encode_labels, learn_classes
from fastsoftmax.validation.foreign import as_label_source
from fastsoftmax.validation.labels import are_label_lists, as_label_array, checked_labels

_NUMBERS = (int, float, np.integer, np.floating, np.bool_)


class LabelLists(NamedTuple):
    """Checked labels of all rows, one row after the other: those of row i are `labels[indptr[i]:indptr[i + 1]]`."""

    labels: np.ndarray
    indptr: np.ndarray

    @property
    def shape(self):
        return (len(self.indptr) - 1,)

    def learn(self, name="y"):
        """The distinct labels, and an indicator of those of each row as canonical CSR of float64 ones."""
        classes, codes = learn_classes(self.labels, name=name)
        return classes, self._indicator(codes, len(classes))

    def encode(self, classes, *, unknown=None, name="y", rows=None):
        """An indicator of the classes of each row, as `learn` returns it.

        unknown : None: a label that is not among the classes is an error; else each such label has a column beyond theirs
        rows : where each of these rows stood in what the user gave; None: they are all of it
        """
        rows = np.repeat(np.arange(*self.shape) if rows is None else rows, np.diff(self.indptr))
        codes = encode_labels(self.labels, classes, unknown=None if unknown is None else -1, name=name, rows=rows)
        beyond = codes < 0
        unknown_labels, codes[beyond] = learn_classes(self.labels[beyond])
        codes[beyond] += len(classes)
        return self._indicator(codes, len(classes) + len(unknown_labels))

    def _indicator(self, codes, n_columns):
        return indicator(codes, self.indptr, n_columns)


def indicator(codes, indptr, n_columns):
    """Which columns each row names, once or more often, as canonical CSR of float64 ones."""
    a = sparse.csr_array((np.ones(len(codes)), codes, indptr), shape=(len(indptr) - 1, n_columns), copy=True)
    a.sum_duplicates()
    a.data.fill(1)
    return a


def as_targets(name, y):
    """`y` as a sparse matrix, or as an array of labels, of masses in two dimensions, or of lists of labels.

    Only sparse matrices and arrays have a column for each class. A list of lists holds the labels of each row, whether or not
    all have equally many. It is an error where it could just as well be an indicator, so that neither is taken for the other.
    Rows with fractions among their numbers are masses, for no label is a fraction.
    """
    y = as_label_source(name, y)
    if sparse.issparse(y):
        return y
    rows = as_label_array(y)
    if hasattr(y, "__array__") or not are_label_lists(rows):
        return rows
    kinds = _kinds_of_numbers(rows)
    if kinds and all(label in (0, 1) for label in itertools.chain.from_iterable(rows)):
        raise ValueError(
            f"{name} is a list of lists, each of {len(rows[0])} zeros and ones, which may be an indicator or labels: give "
            f"np.array({name}) for an indicator with a column for each class, or a set for each row whose labels are 0 and 1"
        )
    has_floats = any(issubclass(kind, (float, np.floating)) for kind in kinds)
    if has_floats and any(map(_is_fraction, set(itertools.chain.from_iterable(rows)))):
        return np.array(rows.tolist())
    return rows


def _kinds_of_numbers(rows):
    """The types in lists or arrays of labels, if all rows are of one length above 1 and hold nothing but numbers."""
    if not all(isinstance(row, list) or (isinstance(row, np.ndarray) and row.ndim == 1) for row in rows):
        return ()
    if len(rows[0]) < 2 or isinstance(rows[0][0], str) or set(map(len, rows)) != {len(rows[0])}:
        return ()
    kinds = set(map(type, itertools.chain.from_iterable(rows)))
    are_numbers = np.timedelta64 not in kinds and all(issubclass(kind, _NUMBERS) for kind in kinds)
    return kinds if are_numbers else ()


def _is_fraction(number):
    return isinstance(number, (float, np.floating)) and np.isfinite(number) and number % 1 != 0


def check_label_lists(y, n_samples=None, ignore_label=None, *, name="y"):
    """An array of lists of labels as LabelLists of the rows that have any; a label that equals `ignore_label` is left out.

    Returns
    -------
    y : LabelLists
    counted : (n_samples,) bool, which rows have a label, or None if all do
    """
    if n_samples is not None and len(y) != n_samples:
        raise ValueError(f"{name} has {len(y)} lists of labels, but X has {n_samples} rows")
    bad = next((i for i, row in enumerate(y) if not isinstance(row, (list, set)) and np.ndim(row) != 1), None)
    if bad is not None:
        raise ValueError(f"{name} must hold a list of labels for each row, got {y[bad]!r} for row {bad}")
    rows = np.repeat(np.arange(len(y)), np.fromiter(map(len, y), np.int64, len(y)))
    labels = as_label_array(list(itertools.chain.from_iterable(y)))
    if labels.ndim != 1 or are_label_lists(labels):
        raise ValueError(f"{name} must hold a list of labels for each row, got lists of lists")
    labels, kept = checked_labels(name, labels, rows, ignore_label)
    sizes = np.bincount(rows if kept is None else rows[kept], minlength=len(y))
    counted = sizes > 0
    y = LabelLists(labels, np.concatenate([[0], np.cumsum(sizes[counted])]))
    return y, None if counted.all() else counted
