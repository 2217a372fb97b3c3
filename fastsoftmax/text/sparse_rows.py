"""Rows of ``label,label index:value index:value ...``, which svmlight's format and the extreme-classification one share.

The parser is our own, not scikit-learn's `load_svmlight_file`, which drops rows that have neither label nor feature,
lets NaN through, does not say in which line an error is, and is no faster.
"""

import itertools
import re
from array import array
from decimal import Decimal

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax.text.lines import line_error, quoted
from fastsoftmax.text.rows import index_dtype

# What these let through, int, Decimal and float check. The blanks of bytes are C's isspace: no byte of UTF-8 beyond ASCII.
_LABEL = rb"[-+]?\d++(?:\.\d*+)?+(?:[eE][-+]?\d{1,3}+)?+"
_LABELS = re.compile(rb"\s*+(?:(%b(?:\s*+,\s*+%b)*+)(?!\S))?+" % (_LABEL, _LABEL))
_PAIR = re.compile(rb"\d++:[-+.\deE]++")
_LINE = re.compile(rb"%b((?:\s*+%b(?!\S))*+)\s*+" % (_LABELS.pattern, _PAIR.pattern))

MAX_INDEX = np.iinfo(np.intp).max - 1  # so that the number of columns has a machine integer, too


def is_sparse_row(line):
    """Whether a line, without its comment, looks like such a row."""
    return _LINE.fullmatch(line) is not None


class SparseRows:
    """The rows of a file, appended line by line, and the number of the line that each is from.

    Parameters
    ----------
    name : str
        The name of the file, for errors.
    """

    def __init__(self, name):
        self.name = name
        self.numbers = array("q")
        self.labels, self.label_starts = array("q"), array("q", [0])
        self.indices, self.values, self.indptr = array("i"), array("f"), array("q", [0])

    def __len__(self):
        return len(self.numbers)

    def append(self, number, line):
        match = _LINE.fullmatch(line)
        if not match:
            raise line_error(self.name, number, _fault(line))
        labels, pairs = match.groups()
        try:
            if labels:
                self.labels.extend(dict.fromkeys(map(_integer, labels.split(b","))))
            numbers = pairs.replace(b":", b" ").split()
            self._append_indices(numbers[::2])
            self.values.extend(map(float, numbers[1::2]))
        except ValueError as error:
            raise line_error(self.name, number, f"{error}: {quoted(line)}") from None
        except OverflowError:
            raise line_error(self.name, number, f"a label or an index does not fit 64 bits: {quoted(line)}") from None
        self.numbers.append(number)
        self.label_starts.append(len(self.labels))
        self.indptr.append(len(self.indices))

    def _append_indices(self, numbers):
        try:
            self.indices.extend(array(self.indices.typecode, map(int, numbers)))
        except OverflowError:  # of 32 bits, which few files go beyond; what goes beyond 64 is the caller's error
            self.indices = array("q", self.indices)
            self.indices.extend(array("q", map(int, numbers)))

    def check_labels(self, n_labels):
        """Raise where a label is not from 0 to n_labels - 1."""
        labels = np.asarray(self.labels)
        bad = (labels < 0) | (labels >= n_labels)
        self._refuse(bad, self.label_starts, lambda i: f"label must be from 0 to {n_labels - 1}, got {labels[i]}")

    def check_indices(self, n_features):
        """Raise where an index is not below n_features."""
        indices = np.asarray(self.indices)
        bad = indices >= n_features
        self._refuse(bad, self.indptr, lambda i: f"index must be below {n_features}, got {indices[i]}")

    def matrix(self, n_features):
        """The features as a csr_matrix of float32, canonical, all finite; None: as many columns as the indices need."""
        indices, values, indptr = np.asarray(self.indices), np.asarray(self.values), np.asarray(self.indptr)
        self.check_indices(MAX_INDEX + 1 if n_features is None else n_features)
        if n_features is None:
            n_features = int(indices.max(initial=-1)) + 1
        self._refuse(~np.isfinite(values), self.indptr, lambda i: f"value of index {indices[i]} is beyond float32")
        dtype = index_dtype(n_features, len(indices))
        indices, indptr = indices.astype(dtype, copy=False), indptr.astype(dtype, copy=False)
        X = csr_matrix((values, indices, indptr), shape=(len(self), n_features))
        X.sort_indices()
        repeated = np.zeros(len(indices), dtype=bool)
        repeated[1:] = X.indices[1:] == X.indices[:-1]
        repeated[indptr[:-1][indptr[:-1] < len(indices)]] = False
        self._refuse(repeated, self.indptr, lambda i: f"index {X.indices[i]} is repeated")
        X.has_canonical_format = True
        return X

    def _refuse(self, bad, starts, fault):
        """Raise an error for the first bad one of the labels or entries, which lie in rows that begin at `starts`."""
        if bad.any():
            first = int(np.argmax(bad))
            row = np.searchsorted(np.asarray(starts), first, side="right") - 1
            raise line_error(self.name, self.numbers[row], fault(first))


def _integer(label):
    """A label, which may be written as a float: 3.0 or 1e+05, as R and Spark write them."""
    try:
        return int(label)
    except ValueError:
        number = Decimal(label.decode().strip())
        if number != number.to_integral_value():
            raise ValueError(f"expected an integer label, got {quoted(label)}") from None
        if number.adjusted() > 18:  # 10**19 is beyond 64 bits, and int takes hours for millions of digits
            raise OverflowError from None
        return int(number)


def _fault(line):
    """What is wrong with a line that is not such a row."""
    labels = _LABELS.match(line)
    words = line[labels.end() :].split()
    if not labels.group(1) and b":" not in words[0]:
        before = b" ".join(itertools.takewhile(lambda word: b":" not in word, words))
        return f"expected an integer label, or several separated by commas, got {quoted(before)}"
    wrong = next(word for word in words if not _PAIR.fullmatch(word))
    return f"expected index:value, an index of at least 0 and a finite number, got {quoted(wrong)}"
