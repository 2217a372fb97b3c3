"""Data files block by block: of a pipe the rows that have come, of a file many rows at a time.

`datasets.read` reads the same formats as a whole. What is wrong with a line is an error here too, after the rows before it.
"""

import itertools
from contextlib import contextmanager

from fastsoftmax.text import datasets
from fastsoftmax.text.datasets import TEXT_FORMATS, Dataset
from fastsoftmax.text.lines import first_lines, in_chunks, line_error, open_arriving
from fastsoftmax.text.sparse_rows import SparseRows
from fastsoftmax.validation import check_option


@contextmanager
def open_blocks(source, format=None, *, n_features=None, extra_features="error", size=4096, show=None):
    """Yield an iterator over the rows of a data file, in Datasets of at most `size` rows.

    Parameters
    ----------
    source, format, n_features, extra_features
        As for `datasets.read`. Of format "fasttext", lines that are all blank are samples too.
    size : int
        Rows in a block of a file. Of a pipe or a terminal, those that have come are a block.
    show : function, optional
        Called with the numbers of bytes that are read.

    Raises
    ------
    ValueError
        As `datasets.read` does, but while one iterates: the rows before a bad line come first.
    """
    check_option("extra_features", extra_features, ("error", "ignore"))
    with open_arriving(source, show) as (name, lines, waits):
        yield _blocks(name, lines, waits, format, n_features, extra_features == "ignore", size)


def _blocks(name, lines, waits, format, n_features, cut, size):
    if format not in TEXT_FORMATS:  # of which the first line says nothing that is needed, and may be blank
        first = first_lines(name, lines)
        format = datasets.detect(name, first) if format is None else format
        lines = itertools.chain(first, lines)
    parser = _PARSERS[format](name, n_features, cut)
    for chunk in in_chunks(lines, waits, size):
        try:
            data, error = parser.parse(chunk), None
        except ValueError as fault:
            data, error = parser.parse(_good_part(parser, chunk)), fault
        if data is not None:
            parser.n_rows += data.n_samples
            yield data
        if error is not None:
            raise error
    parser.end()


def _good_part(parser, chunk):
    """The lines before the first bad one of a chunk."""
    n_good, n_bad = 0, len(chunk)
    while n_bad - n_good > 1:
        middle = (n_good + n_bad) // 2
        try:
            parser.parse(chunk[:middle])
            n_good = middle
        except ValueError:
            n_bad = middle
    return chunk[:n_good]


class _Svmlight:
    """Makes a Dataset of numbered lines, or None where they have no rows; `n_rows` : those of the lines before."""

    format = "svmlight"

    def __init__(self, name, n_features, cut):
        self.name, self.n_features, self.cut = name, n_features, cut
        self.n_rows = 0

    def parse(self, chunk):
        rows = SparseRows(self.name)
        for number, line in chunk:
            if line.partition(b"#")[0].strip():
                rows.append(number, datasets.without_extras(line))
        return self.dataset(rows, None)

    def dataset(self, rows, n_columns):
        """The Dataset of SparseRows; `n_columns` : as many as a header says, or None."""
        if not len(rows):
            return None
        wanted = n_columns if self.cut or self.n_features is None else self.n_features
        parts, n_ignored = datasets.arrays(rows, wanted), 0
        if self.cut and self.n_features is not None:
            X, n_ignored = datasets.cut_columns(parts[0], self.n_features)
            parts = (X, *parts[1:])
        X, labels, label_starts, line_numbers = parts
        return Dataset(X, labels, label_starts, self.format, line_numbers, n_ignored)

    def end(self):
        if not self.n_rows:
            raise ValueError(f"{self.name}: no samples, only comments")


class _Xmc(_Svmlight):
    """The same of the extreme-classification format, whose first line has sizes."""

    format = "xmc"

    def __init__(self, name, n_features, cut):
        super().__init__(name, n_features, cut)
        self.sizes = None

    def parse(self, chunk):
        if chunk and chunk[0][0] == 1:
            self.sizes, chunk = self._header(*chunk[0]), chunk[1:]
        if not chunk:
            return None
        rows, (n_samples, n_columns, n_labels) = SparseRows(self.name), self.sizes
        for number, line in chunk:
            if self.n_rows + len(rows) < n_samples:
                rows.append(number, line)
            elif line.strip():
                raise line_error(self.name, number, f"more rows than the {n_samples} of the header")
        rows.check_labels(n_labels)
        rows.check_indices(n_columns)
        return self.dataset(rows, n_columns)

    def _header(self, number, line):
        n_samples, n_columns, n_labels = datasets.sizes(self.name, number, line)
        if n_samples == 0:
            raise line_error(self.name, number, "no samples")
        if self.n_features is not None and not self.cut and n_columns > self.n_features:
            fault = f"{n_columns} features, more than n_features={self.n_features}"
            raise line_error(self.name, number, fault)
        return n_samples, n_columns, n_labels

    def end(self):
        if self.n_rows < self.sizes[0]:
            raise ValueError(f"{self.name}: {self.n_rows} rows, {self.sizes[0]} in the header")


class _FastText(_Svmlight):
    """The same of fastText's format, whose X are texts."""

    format = "fasttext"

    def parse(self, chunk):
        if not chunk:
            return None
        X, labels, label_starts, line_numbers = datasets.read_fasttext(self.name, chunk, None)
        return Dataset(X, labels, label_starts, self.format, line_numbers)

    def end(self):
        """Even no line at all is right."""


_PARSERS = {parser.format: parser for parser in (_Svmlight, _Xmc, _FastText)}
