"""Data files for classification in three formats: svmlight, the extreme-classification repository's, and fastText's.

A format is one entry of `_READERS`: how its first line looks, and what reads the rest.
"""

import itertools
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax.text.lines import first_lines, line_error, open_lines, quoted
from fastsoftmax.text.sparse_rows import SparseRows, is_sparse_row
from fastsoftmax.validation import as_text_array, check_int, check_labels, check_option, indicator, learn_classes

LABEL_PREFIX = "__label__"

_HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)\s*")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples, each with any number of labels.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n_samples, n_features), or list of str
        Texts come only from fastText's format; `TextVectorizer` makes a matrix of them.
    labels : ndarray of int64, str, or objects that are str, shape (n_labels,)
        Labels of all samples, one sample after the other, each once in a sample. They are objects if one is longer than 64
        characters.
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
    """What `SoftmaxClassifier.fit` takes as y, and the labels in order, which name the columns of y if it has columns.

    Parameters
    ----------
    labels, label_starts
        As in `Dataset`.

    Returns
    -------
    classes : ndarray
        The different labels, ascending.
    y : ndarray or csr_matrix
        The labels themselves if every sample has exactly one, otherwise an indicator of the classes of each sample. A label
        that a sample has twice counts once.

    Raises
    ------
    ValueError
        If no sample has a label.
    """
    n_samples = len(label_starts) - 1
    if not len(labels):
        raise ValueError(f"labels must not be empty: none of the {n_samples} samples has one")
    classes, codes = learn_classes(check_labels(labels, name="labels")[0], name="labels")
    if np.all(np.diff(label_starts) == 1):
        return classes, labels
    y = indicator(codes, label_starts, len(classes))
    if np.all(np.diff(y.indptr) == 1):  # some stood there twice
        return classes, classes[y.indices]
    return classes, csr_matrix((y.data.astype(np.float32), y.indices, y.indptr), shape=y.shape)


def detect_format(source):
    """The format of a data file, told from its first line: "svmlight", "xmc" or "fasttext".

    Parameters
    ----------
    source : path or binary file
        A file is read from where it stands, and left at no particular place.

    Raises
    ------
    ValueError
        If the format is none of these, or the file is empty.
    """
    with open_lines(source) as (name, lines):
        return _detect(name, first_lines(name, lines))


def read(source, format=None, *, n_features=None):
    """Read a data file, plain or compressed with gzip.

    - "svmlight": lines `label index:value index:value ...`. Indices are columns as they stand, so if a file counts from 1,
      column 0 is empty. A line may have several labels, separated by commas, or none. Comments follow a #; empty lines are
      skipped.
    - "xmc": a first line `n_samples n_features n_labels`, then lines as above, with labels and indices from 0. A row may
      have neither labels nor features.
    - "fasttext": lines `__label__x __label__y some text`, in UTF-8. Every line is a sample, even an empty one.

    Parameters
    ----------
    source : path or binary file
    format : {"svmlight", "xmc", "fasttext"}, optional
        By default it is told from the first line.
    n_features : int, optional
        Number of columns of X, such as a trained model's; by default as many as the header says or the indices need.

    Returns
    -------
    Dataset
        Its labels are int64, or strings in fastText's format; column indices are sorted.

    Raises
    ------
    ValueError
        If the file is empty or a line is malformed: the message names the file, the line and what is wrong with it.
        Labels that are not integers are refused, and so are negative or repeated indices, values that are not finite as
        float32, and whatever contradicts the header or n_features.
    """
    if format is not None:
        check_option("format", format, FORMATS)
    if n_features is not None:
        n_features = check_int("n_features", n_features, minimum=1)
    with open_lines(source) as (name, lines):
        first = first_lines(name, lines)
        format = _detect(name, first) if format is None else format
        return Dataset(*_READERS[format].read(name, itertools.chain(first, lines), n_features), format)


def _detect(name, first):
    number, line = first[-1]
    for format in reversed(FORMATS):  # fastText's before svmlight's, in whose comments there can be anything
        if _READERS[format].fits(line):
            return format
    raise line_error(name, number, f"none of the formats {', '.join(FORMATS)}: {quoted(line)}")


def _fits_svmlight(line):
    return is_sparse_row(line.partition(b"#")[0])


def _read_svmlight(name, lines, n_features):
    rows = SparseRows(name)
    for number, line in lines:
        line = line.partition(b"#")[0]
        if line.strip():
            rows.append(number, line)
    if not len(rows):
        raise ValueError(f"{name}: no samples, only comments")
    return rows.matrix(n_features), np.asarray(rows.labels), np.asarray(rows.label_starts)


def _fits_xmc(line):
    return _HEADER.fullmatch(line) is not None


def _read_xmc(name, lines, n_features):
    number, line = next(lines)
    header = _HEADER.fullmatch(line)
    if not header:
        raise line_error(name, number, f"expected n_samples n_features n_labels, got {quoted(line)}")
    n_samples, n_columns, n_labels = map(int, header.groups())
    if n_samples == 0:
        raise line_error(name, number, "no samples")
    if n_features is not None and n_columns > n_features:
        raise line_error(name, number, f"{n_columns} features, more than n_features={n_features}")
    rows = SparseRows(name)
    for number, line in lines:
        if len(rows) < n_samples:
            rows.append(number, line)
        elif line.strip():
            raise line_error(name, number, f"more rows than the {n_samples} of the header")
    if len(rows) < n_samples:
        raise ValueError(f"{name}: {len(rows)} rows, {n_samples} in the header")
    rows.check_labels(n_labels)
    rows.check_indices(n_columns)
    X = rows.matrix(n_columns if n_features is None else n_features)
    return X, np.asarray(rows.labels), np.asarray(rows.label_starts)


def _fits_fasttext(line):
    return any(word.startswith(LABEL_PREFIX.encode()) for word in line.split())


def _read_fasttext(name, lines, n_features):
    texts, labels, label_starts = [], [], [0]
    for number, line in lines:
        try:
            words = line.decode("utf-8").split()
        except UnicodeDecodeError as error:
            raise line_error(name, number, f"not UTF-8: {error}") from None
        found = dict.fromkeys(word.removeprefix(LABEL_PREFIX) for word in words if word.startswith(LABEL_PREFIX))
        if "" in found:
            raise line_error(name, number, f"a label is missing after {LABEL_PREFIX}")
        labels.extend(found)
        label_starts.append(len(labels))
        texts.append(" ".join(word for word in words if not word.startswith(LABEL_PREFIX)))
    return texts, as_text_array(labels), np.array(label_starts, dtype=np.int64)


class _Reader(NamedTuple):
    """How files of one format are recognised and read."""

    fits: callable  # fits(line): whether a file may have this first line, which is neither blank nor a comment
    read: callable  # read(name, lines, n_features): X, labels, label_starts as in `Dataset`, of the numbered lines
    holds_texts: bool = False  # X is a list of str, and n_features says nothing


_READERS = {
    "svmlight": _Reader(_fits_svmlight, _read_svmlight),
    "xmc": _Reader(_fits_xmc, _read_xmc),
    "fasttext": _Reader(_fits_fasttext, _read_fasttext, holds_texts=True),
}
FORMATS = tuple(_READERS)
TEXT_FORMATS = tuple(format for format, reader in _READERS.items() if reader.holds_texts)
