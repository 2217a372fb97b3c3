"""Data files for classification in three formats: svmlight, the extreme-classification repository's, and fastText's.

A format is one entry of `_READERS`: how its first line looks, and what reads the rest.
"""

import codecs
import itertools
import re
from array import array
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax.text.lines import first_lines, line_error, open_lines, quoted
from fastsoftmax.text.sparse_rows import MAX_INDEX, SparseRows, is_sparse_row
from fastsoftmax.validation import as_text_array, check_int, check_labels, check_option, indicator, learn_classes

__all__ = ["FORMATS", "Dataset", "detect_format", "read", "read_texts", "targets"]


def __dir__():
    return sorted(__all__)  # what tab completion shows


LABEL_PREFIX = "__label__"
_PREFIX = LABEL_PREFIX.encode()

_HEADER = re.compile(rb"\s*+(\d++)\s++(\d++)\s++(\d++)\s*+")
_QUERY = re.compile(rb"(?<!\S)qid:[-+]?\d++(?!\S)")


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
    line_numbers : ndarray of int64, shape (n_samples,), or None
        The line of the file that each sample is from; the first is line 1. In svmlight's format blank lines and comments are
        no samples, so that sample i is not always from line i + 1. None of samples that are from no file.
    n_ignored : int
        How many values were left out, because the index of their feature is not below the `n_features` that `read` was given.
    """

    X: csr_matrix | list
    labels: np.ndarray
    label_starts: np.ndarray
    format: str
    line_numbers: np.ndarray | None = None
    n_ignored: int = 0

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
        return detect(name, first_lines(name, lines))


def read(source, format=None, *, n_features=None, extra_features="error", show=None):
    """Read a data file, plain or compressed with gzip, bzip2 or xz.

    - "svmlight": lines `label index:value index:value ...`. Indices are columns as they stand, so if a file counts from 1,
      column 0 is empty. A line may have several labels, separated by commas, or none. A label is an integer, which may be
      written as 3.0 or 1e+05. `qid:3` before the features is ignored. Comments follow a #. Blank lines, and lines of a comment
      alone, are no samples: a sample without features needs a label, or a `qid`.
    - "xmc": a first line `n_samples n_features n_labels`, then lines as above, with labels and indices from 0, and neither
      comments nor `qid`. Each line is a sample, even a blank one; blank lines after the last are ignored.
    - "fasttext": lines `__label__x __label__y some text`, in UTF-8. A word that begins with `__label__` is a label, wherever
      it stands. Each line is a sample, even a blank one.

    Parameters
    ----------
    source : path or binary file
        A file, which may be a pipe, is read from where it stands.
    format : {"svmlight", "xmc", "fasttext"}, optional
        By default it is told from the first line.
    n_features : int, optional
        Number of columns of X, such as a trained model's; by default as many as the header says or the indices need. It says
        nothing of texts, which have no columns: `TextVectorizer` has its own.
    extra_features : {"error", "ignore"}
        What becomes of features whose index is not below `n_features`. Where they are ignored, their rows stay, and the
        result's `n_ignored` counts the values.
    show : function, optional
        It is called with the numbers of bytes that are read, for a progress bar.

    Returns
    -------
    Dataset
        Its labels are int64, or strings in fastText's format; column indices are sorted.

    Raises
    ------
    ValueError
        If the file is empty or a line is malformed: the message names the file, the line and what is wrong with it.
        Labels that are not integers are refused, and so are negative or repeated indices, values that are not finite as
        float32, whatever contradicts the header or, if extra features are not ignored, n_features, labels and indices beyond
        64 bits, lines of more than 256 MiB, compressed files that are damaged or cut short, and the byte order marks of
        UTF-16 and UTF-32.

    Notes
    -----
    The byte \\n ends a line, and nothing else does; the last line may lack it. What separates are these bytes alone: space,
    \\t, \\v, \\f and \\r, so that lines may end in \\r\\n, and in fastText's format \\0 too. No other blank or control
    character of Unicode separates, so that a no-break space can stand in a label of fastText's format. A byte order mark of
    UTF-8 at the beginning of the file is no part of the data.

    References
    ----------
    The format of SVMlight, https://www.cs.cornell.edu/people/tj/svm_light, as scikit-learn's `load_svmlight_file` reads it
    (LIBSVM refuses blank lines); several labels a line are an extension of LIBSVM's data sets. The extreme classification
    repository, http://manikvarma.org/downloads/XC/XMLRepository.html. fastText's `Dictionary::readWord`,
    https://github.com/facebookresearch/fastText.
    """
    check_option("extra_features", extra_features, ("error", "ignore"))
    if format is not None:
        check_option("format", format, FORMATS)
    if n_features is not None:
        n_features = check_int("n_features", n_features, minimum=1, maximum=MAX_INDEX + 1)
    with open_lines(source, show) as (name, lines):
        first = first_lines(name, lines)
        format = detect(name, first) if format is None else format
        numbered = enumerate(itertools.chain(first, lines), start=1)
        cut = n_features is not None and extra_features == "ignore"
        X, labels, label_starts, line_numbers = _READERS[format].read(name, numbered, None if cut else n_features)
        n_ignored = 0
        if cut and format not in TEXT_FORMATS:
            X, n_ignored = cut_columns(X, n_features)
        return Dataset(X, labels, label_starts, format, line_numbers, n_ignored)


def read_texts(source, *, show=None):
    """The Dataset in a file of fastText's format, as `read` has it; but lines that are all blank are samples too."""
    with open_lines(source, show) as (name, lines):
        first = first_lines(name, lines, blank_counts=True)
        (format,) = TEXT_FORMATS
        X, labels, label_starts, line_numbers = _READERS[format].read(
            name, enumerate(itertools.chain(first, lines), start=1), None
        )
        return Dataset(X, labels, label_starts, format, line_numbers)


def cut_columns(X, n_columns):
    """A csr_matrix with the first `n_columns` columns of X, all other ones empty, and how many values of X it lacks."""
    kept = X[:, :n_columns]
    kept.resize(X.shape[0], n_columns)
    return kept, X.nnz - kept.nnz


def look_like_columns(texts):
    """Whether texts, such as the rows of a file that was read as fastText's, are all rows of the other formats."""
    lines = [text.encode("utf-8", "surrogatepass") for text in texts]
    rows = [line for line in lines[:1] if not _fits_xmc(line)] + lines[1:]
    return any(b":" in row for row in rows) and all(map(_fits_svmlight, rows))


def detect(name, first):
    number, line = len(first), first[-1]
    for format in reversed(FORMATS):  # fastText's before svmlight's, in whose comments there can be anything
        if _READERS[format].fits(line):
            return format
    raise line_error(name, number, f"none of the formats {', '.join(FORMATS)}: {quoted(line)}")


def _fits_svmlight(line):
    return is_sparse_row(without_extras(line))


def without_extras(line):
    """A line of svmlight's format without its comment and the query that it belongs to."""
    line = line.partition(b"#")[0]
    query = _QUERY.search(line) if b"qid:" in line else None
    if query is None or b":" in line[: query.start()]:  # after a feature it is an error
        return line
    return line[: query.start()] + line[query.end() :]


def _read_svmlight(name, lines, n_features):
    rows = SparseRows(name)
    for number, line in lines:
        if line.partition(b"#")[0].strip():  # a query alone is a sample, as a label alone is
            rows.append(number, without_extras(line))
    if not len(rows):
        raise ValueError(f"{name}: no samples, only comments")
    return arrays(rows, n_features)


def arrays(rows, n_features):
    X = rows.matrix(n_features)
    return X, np.asarray(rows.labels), np.asarray(rows.label_starts), np.asarray(rows.numbers)


def _fits_xmc(line):
    return _HEADER.fullmatch(line) is not None


def _read_xmc(name, lines, n_features):
    number, line = next(lines)
    n_samples, n_columns, n_labels = sizes(name, number, line)
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
    return arrays(rows, n_columns if n_features is None else n_features)


def sizes(name, number, line):
    """n_samples, n_features and n_labels of a header."""
    header = _HEADER.fullmatch(line)
    if not header:
        raise line_error(name, number, f"expected n_samples n_features n_labels, got {quoted(line)}")
    digits = [size.lstrip(b"0") or b"0" for size in header.groups()]
    if max(map(len, digits)) > 18:
        raise line_error(name, number, f"sizes must be below 10**18, got {quoted(line)}")
    return map(int, digits)


def _fits_fasttext(line):
    return any(word.startswith(_PREFIX) for word in _words(line))


def _words(line):
    return line.replace(b"\0", b" ").split()  # at these bytes fastText splits, as bytes are split but for the null


def read_fasttext(name, lines, n_features):
    texts, labels, label_starts, line_numbers = [], [], [0], array("q")
    for number, line in lines:
        words = _words(line)
        found = [word[len(_PREFIX) :] for word in words if word.startswith(_PREFIX)]
        if b"" in found:
            raise line_error(name, number, f"a label is missing after {LABEL_PREFIX}")
        if words and words[0].startswith(codecs.BOM_UTF8 + _PREFIX):
            raise line_error(name, number, f"a byte order mark inside the file hides a label: {quoted(line)}")
        try:
            labels.extend(dict.fromkeys(label.decode() for label in found))
            texts.append(b" ".join([word for word in words if not word.startswith(_PREFIX)]).decode())
        except UnicodeDecodeError as error:
            raise line_error(name, number, f"not UTF-8: {error}") from None
        label_starts.append(len(labels))
        line_numbers.append(number)
    return texts, as_text_array(labels), np.array(label_starts, dtype=np.int64), np.array(line_numbers, dtype=np.int64)


class _Reader(NamedTuple):
    """How files of one format are recognised and read."""

    fits: callable  # fits(line): whether a file may have this first line, which is neither blank nor a comment
    read: callable  # read(name, lines, n_features): X, labels, label_starts and line_numbers as in `Dataset`
    holds_texts: bool = False  # X is a list of str, and n_features says nothing


_READERS = {
    "svmlight": _Reader(_fits_svmlight, _read_svmlight),
    "xmc": _Reader(_fits_xmc, _read_xmc),
    "fasttext": _Reader(_fits_fasttext, read_fasttext, holds_texts=True),
}
FORMATS = tuple(_READERS)
TEXT_FORMATS = tuple(format for format, reader in _READERS.items() if reader.holds_texts)


def first_index(data):
    """The lowest index of a Dataset of columns; None of texts, and where no index occurs."""
    if data.format in TEXT_FORMATS or not data.X.nnz:
        return None
    return int(data.X.indices.min())
