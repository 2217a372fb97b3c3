"""Readers of three file formats for classification: svmlight, the extreme-classification repository's, and fastText's.

The parser is our own, not scikit-learn's `load_svmlight_file`, which drops rows that have neither label nor feature,
lets NaN through, does not say in which line an error is, and is no faster.
"""

import gzip
import io
import itertools
import os
import re
import zlib
from array import array
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax.validation import check_int, check_option

FORMATS = ("svmlight", "xmc", "fasttext")
LABEL_PREFIX = "__label__"

_GZIP_MAGIC = b"\x1f\x8b"
_HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)\s*")
_LABELS = re.compile(rb"[-+]?\d++(?:\.0*+)?(?:,[-+]?\d++(?:\.0*+)?)*+")
_PAIR = re.compile(rb"\d++:[-+.\deE]++")
# Labels, if there are any, then pairs. What it lets through, int and float check.
_SPARSE_LINE = re.compile(rb"\s*+(?:(%b)(?!\S))?+((?:\s*+%b(?!\S))*+)\s*+" % (_LABELS.pattern, _PAIR.pattern))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with any number of labels each.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n_samples, n_features), or list of str
        Texts come from fastText's format only; `TextVectorizer` makes a matrix of them.
    labels : ndarray of int64 or str, shape (n_labels,)
        Labels of all samples, one sample after the other.
    label_starts : ndarray of int64, shape (n_samples + 1,)
        The labels of sample i are `labels[label_starts[i]:label_starts[i + 1]]`.
    format : str
        "svmlight", "xmc" or "fasttext".
    """

    X: csr_matrix | list
    labels: np.ndarray
    label_starts: np.ndarray
    format: str

    @property
    def n_samples(self):
        return len(self.label_starts) - 1

    @property
    def n_unlabelled(self):
        """Number of samples without a label."""
        return int(np.sum(np.diff(self.label_starts) == 0))


def targets(labels, label_starts):
    """What `SoftmaxClassifier.fit` takes for y, and the labels in order, which are its columns if it has such.

    Parameters
    ----------
    labels, label_starts
        As in `Dataset`.

    Returns
    -------
    classes : ndarray
        The different labels, ascending.
    y : ndarray or csr_matrix
        The labels themselves if every sample has exactly one, else an indicator of the classes of each sample.

    Raises
    ------
    ValueError
        If no sample has a label.
    """
    n_samples = len(label_starts) - 1
    if not len(labels):
        raise ValueError(f"labels must not be empty: none of the {n_samples} samples has one")
    classes, codes = np.unique(labels, return_inverse=True)
    if np.all(np.diff(label_starts) == 1):
        return classes, labels
    ones = np.ones(len(codes), dtype=np.float32)
    return classes, csr_matrix((ones, codes, label_starts), shape=(n_samples, len(classes)))


def detect_format(source):
    """The format of a data file, told from its first line: "svmlight", "xmc" or "fasttext".

    Parameters
    ----------
    source : path, or binary file (read from where it stands, and left at no particular place)

    Raises
    ------
    ValueError
        If it is none of these, or the file is empty.
    """
    with _open_lines(source) as (name, lines):
        return _detect(name, _head(name, lines))


def read(source, format=None, *, n_features=None):
    """Read a data file, plain or compressed with gzip.

    - "svmlight": `label index:value index:value ...`, indices as they stand (of a file that counts from 1 column 0 is
      empty), several labels separated by commas or none at all, comments after #, empty lines skipped.
    - "xmc": a first line `n_samples n_features n_labels`, then as above, labels and indices from 0. A row may have
      neither labels nor features.
    - "fasttext": `__label__x __label__y some text`, in UTF-8; every line is a sample, an empty one too.

    Parameters
    ----------
    source : path or binary file
    format : {"svmlight", "xmc", "fasttext"}, optional
        Told from the first line if not given.
    n_features : int, optional
        Number of columns of X, such as a trained model's; by default what the header says or the indices need.

    Returns
    -------
    Dataset
        Labels are int64, or strings in fastText's format. Column indices are sorted.

    Raises
    ------
    ValueError
        If the file is empty or a line is malformed: the message has the file, the line and what is wrong with it.
        Refused are labels that are not integers, negative or repeated indices, values that are not finite as float32,
        and whatever contradicts the header or n_features.
    """
    if format is not None:
        check_option("format", format, FORMATS)
    if n_features is not None:
        n_features = check_int("n_features", n_features, minimum=1)
    with _open_lines(source) as (name, lines):
        head = _head(name, lines)
        format = _detect(name, head) if format is None else format
        lines = itertools.chain(head, lines)
        if format == "fasttext":
            return _read_fasttext(name, lines)
        if format == "svmlight":
            return _read_svmlight(name, lines, n_features)
        return _read_xmc(name, lines, n_features)


@contextmanager
def _open_lines(source):
    """The name of a file and its numbered lines, as bytes, decompressed if need be."""
    with ExitStack() as stack:
        if isinstance(source, io.TextIOBase):
            raise TypeError(f"source must be a path or a file open in binary mode, got {source!r}")
        if hasattr(source, "read"):
            name = str(getattr(source, "name", "stream"))
            file = io.BufferedReader(source)
            stack.callback(file.detach)  # the caller's file stays open
        else:
            name = os.fspath(source)
            file = stack.enter_context(open(source, "rb"))
        try:
            if file.peek(2)[:2] == _GZIP_MAGIC:
                file = stack.enter_context(gzip.open(file))
            yield name, enumerate(file, start=1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name}: damaged gzip file: {error}") from error


def _error(name, number, fault):
    return ValueError(f"{name}, line {number}: {fault}")


def _head(name, lines):
    """The numbered lines up to the first that is neither blank nor a comment."""
    head = []
    for number, line in lines:
        head.append((number, line))
        if line.partition(b"#")[0].strip():
            break
    if not any(line.strip() for _, line in head):
        raise ValueError(f"{name}: empty file")
    return head


def _detect(name, head):
    number, line = head[-1]
    if any(word.startswith(LABEL_PREFIX.encode()) for word in line.split()):
        return "fasttext"
    if _HEADER.fullmatch(line):
        return "xmc"
    if _SPARSE_LINE.fullmatch(line.partition(b"#")[0]):
        return "svmlight"
    raise _error(name, number, f"none of the formats {', '.join(FORMATS)}: {_shown(line)}")


def _shown(text):
    text = text.decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= 60 else text[:60] + "...")


def _read_fasttext(name, lines):
    texts, labels, label_starts = [], [], [0]
    for number, line in lines:
        try:
            words = line.decode("utf-8").split()
        except UnicodeDecodeError as error:
            raise _error(name, number, f"not UTF-8: {error}") from None
        found = [word.removeprefix(LABEL_PREFIX) for word in words if word.startswith(LABEL_PREFIX)]
        if "" in found:
            raise _error(name, number, f"a label is missing after {LABEL_PREFIX}")
        labels.extend(found)
        label_starts.append(len(labels))
        texts.append(" ".join(word for word in words if not word.startswith(LABEL_PREFIX)))
    return Dataset(texts, np.array(labels, dtype=str), np.array(label_starts, dtype=np.int64), "fasttext")


def _read_svmlight(name, lines, n_features):
    rows = _SparseRows(name)
    for number, line in lines:
        line = line.partition(b"#")[0]
        if line.strip():
            rows.append(number, line)
    if not rows.numbers:
        raise ValueError(f"{name}: no samples, only comments")
    return rows.dataset("svmlight", n_features)


def _read_xmc(name, lines, n_features):
    number, line = next(lines)
    header = _HEADER.fullmatch(line)
    if not header:
        raise _error(name, number, f"expected n_samples n_features n_labels, got {_shown(line)}")
    n_samples, n_columns, n_labels = map(int, header.groups())
    if n_samples == 0:
        raise _error(name, number, "no samples")
    if n_features is not None and n_columns > n_features:
        raise _error(name, number, f"{n_columns} features, more than n_features={n_features}")
    rows = _SparseRows(name)
    for number, line in lines:
        if len(rows.numbers) < n_samples:
            rows.append(number, line)
        elif line.strip():
            raise _error(name, number, f"more rows than the {n_samples} of the header")
    if len(rows.numbers) < n_samples:
        raise ValueError(f"{name}: {len(rows.numbers)} rows, {n_samples} in the header")
    labels = np.asarray(rows.labels)
    bad = (labels < 0) | (labels >= n_labels)
    rows.refuse(bad, rows.label_starts, lambda i: f"label must be from 0 to {n_labels - 1}, got {labels[i]}")
    rows.check_indices(n_columns)
    return rows.dataset("xmc", n_columns if n_features is None else n_features)


class _SparseRows:
    """The rows of a sparse file, and the line that each is from."""

    def __init__(self, name):
        self.name = name
        self.numbers = array("q")
        self.labels, self.label_starts = array("q"), array("q", [0])
        self.indices, self.values, self.indptr = array("i"), array("f"), array("q", [0])

    def append(self, number, line):
        match = _SPARSE_LINE.fullmatch(line)
        if not match:
            raise _error(self.name, number, _fault(line))
        labels, pairs = match.groups()
        try:
            if labels:
                self.labels.extend([int(label.partition(b".")[0]) for label in labels.split(b",")])
            numbers = pairs.replace(b":", b" ").split()
            self.indices.extend(map(int, numbers[::2]))
            self.values.extend(map(float, numbers[1::2]))
        except (ValueError, OverflowError) as error:
            raise _error(self.name, number, f"{error}: {_shown(line)}") from None
        self.numbers.append(number)
        self.label_starts.append(len(self.labels))
        self.indptr.append(len(self.indices))

    def refuse(self, bad, starts, fault):
        """Raise an error for the first bad one of the labels or entries, which lie in rows that begin at `starts`."""
        if bad.any():
            first = int(np.argmax(bad))
            row = np.searchsorted(np.asarray(starts), first, side="right") - 1
            raise _error(self.name, self.numbers[row], fault(first))

    def check_indices(self, n_features):
        indices = np.asarray(self.indices)
        self.refuse(indices >= n_features, self.indptr, lambda i: f"index must be below {n_features}, got {indices[i]}")

    def dataset(self, format, n_features):
        indices, values, indptr = np.asarray(self.indices), np.asarray(self.values), np.asarray(self.indptr)
        if n_features is None:
            n_features = int(indices.max(initial=-1)) + 1
        self.check_indices(n_features)
        self.refuse(~np.isfinite(values), self.indptr, lambda i: f"value of index {indices[i]} is beyond float32")
        if len(indices) <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        X = csr_matrix((values, indices, indptr), shape=(len(self.numbers), n_features))
        X.sort_indices()
        repeated = np.zeros(len(indices), dtype=bool)
        repeated[1:] = X.indices[1:] == X.indices[:-1]
        repeated[indptr[:-1][indptr[:-1] < len(indices)]] = False
        self.refuse(repeated, self.indptr, lambda i: f"index {X.indices[i]} is repeated")
        X.has_canonical_format = True
        return Dataset(X, np.asarray(self.labels), np.asarray(self.label_starts), format)


def _fault(line):
    """What is wrong with a line that is not one of a sparse file."""
    labels, *pairs = line.split()
    if b":" in labels:
        pairs.insert(0, labels)
    elif not _LABELS.fullmatch(labels):
        return f"expected an integer label, or several separated by commas, got {_shown(labels)}"
    wrong = next(pair for pair in pairs if not _PAIR.fullmatch(pair))
    return f"expected index:value, an index of at least 0 and a finite number, got {_shown(wrong)}"
