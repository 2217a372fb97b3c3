"""The rows of a data file as a model takes them, all at once or as they come."""

import os
import stat
import sys
from contextlib import contextmanager
from typing import NamedTuple

from fastsoftmax.runtime.progress import MANY_BYTES, say, shown_bytes, shown_rows
from fastsoftmax.text import datasets
from fastsoftmax.text.blocks import open_blocks
from fastsoftmax.validation import check_are_texts, check_path, check_reads, misfits

N_LOOKED_AT = 100  # rows, of those that are read as texts, that tell whether they are texts


def add_options(parser, other_formats=()):
    """The options of a command that applies a model to a data file; `other_formats` : what some models take."""
    parser.add_argument(
        "--format",
        choices=(*datasets.FORMATS, *other_formats),
        help="what DATA is written in (default: texts if the model takes texts, else told from the first line)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse features that the model does not know, rather than ignore them (off by default)",
    )


def source(path):
    """What to read a data file from: its path, or standard input for "-"."""
    if path != "-":
        return check_path("DATA", path)
    if sys.stdin is None:
        raise ValueError("standard input is closed: name a data file")
    return sys.stdin.buffer


def say_reading(path, verbose):
    """Say that a data file is read, where it is large; that there is none is an error of reading it."""
    if path == "-":
        say("reading standard input", verbose, n_rows=0, n_bytes=MANY_BYTES)
    else:
        say(f"reading {path}", verbose, n_rows=0, n_bytes=_n_bytes(path) or 0)


def shown_reading(path, verbose):
    """A context that gives what shows how far a data file is read, or None where it is small, or standard input."""
    say_reading(path, verbose)
    return shown_large(path, verbose)


def shown_large(path, verbose):
    """The same, where somebody else says what is read."""
    n_bytes = _n_bytes(path) or 0
    return shown_bytes(n_bytes, "reading", verbose and n_bytes >= MANY_BYTES)


def _n_bytes(path):
    """The size of a file; None of what is no regular file, or is not there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class Taken(NamedTuple):
    """How rows of data files become rows of a model.

    encoding, n_features : a text.encoding.Encoding, which says what the model's columns are, and how many these are
    model : its file, for errors
    format : of the files; None: told from the first line, or texts if the model takes texts
    strict : whether features that the model does not know are an error
    verbose : whether to tell what is done
    """

    encoding: object
    n_features: int
    model: str
    format: str | None = None
    strict: bool = False
    verbose: bool = False

    @classmethod
    def of(cls, classifier, options):
        given = options.format, options.strict, options.verbose
        return cls(classifier.encoding_, classifier.n_features_in_, options.model, *given)

    def read(self, path):
        """The Dataset in a file, and its rows as a csr_matrix of float32, (n_samples, n_features).

        Unless it is `strict`, features beyond the model's are left out, and standard error says how many values these were.
        """
        file, name = source(path), _name(path)
        self._check_format()
        say(f"reading {name}", self.verbose)
        with shown_large(path, self.verbose) as show:
            if self.encoding.takes_texts:
                data = datasets.read_texts(file, show=show)
            else:
                given = {"n_features": self.n_features, "extra_features": self._extra_features}
                data = datasets.read(file, self.format, **given, show=show)
        if self.encoding.takes_texts:
            if self.format is None and not len(data.labels):
                self._check_are_texts(name, data.X[:N_LOOKED_AT])
            with shown_rows(data.n_samples, "finding the words", self.verbose, "texts") as show:
                return data, self.encoding.vectorizer.transform(data.X, show=show)
        check_reads(self.model, self.encoding, data.format)
        self._tell_misfits(name, data.n_ignored, datasets.first_index(data))
        return data, data.X

    @contextmanager
    def opened(self, path, size, show=None):
        """Yield an iterator over the rows of a file as they come: matrices as of `read`, and the numbers of their lines.

        size : at most so many rows at once
        show : function that is called with the numbers of bytes that are read
        """
        file, name = source(path), _name(path)
        self._check_format()
        say(f"reading {name}", self.verbose)
        format = datasets.TEXT_FORMATS[0] if self.encoding.takes_texts else self.format
        given = {"n_features": self.n_features, "extra_features": self._extra_features}
        with open_blocks(file, format, **given, size=size, show=show) as blocks:
            yield (self._texts if self.encoding.takes_texts else self._columns)(name, blocks)

    def _texts(self, name, blocks):
        looked_at = []
        for data in blocks:
            if self.format is None and not len(data.labels) and len(looked_at) < N_LOOKED_AT:
                looked_at += data.X[: N_LOOKED_AT - len(looked_at)]
                self._check_are_texts(name, looked_at)
            yield self.encoding.vectorizer.transform(data.X), data.line_numbers

    def _columns(self, name, blocks):
        n_ignored, first = 0, None
        for data in blocks:
            check_reads(self.model, self.encoding, data.format)
            n_ignored += data.n_ignored
            lowest = datasets.first_index(data)
            if self.strict:
                self._tell_misfits(name, data.n_ignored, lowest)
            if lowest is not None:
                first = lowest if first is None else min(first, lowest)
            yield data.X, data.line_numbers
        self._tell_misfits(name, n_ignored, first)

    @property
    def _extra_features(self):
        return "error" if self.strict else "ignore"

    def _check_format(self):
        if self.format is not None:
            check_reads(self.model, self.encoding, self.format)

    def _check_are_texts(self, name, texts):
        check_are_texts(self.model, name, datasets.look_like_columns(texts))

    def _tell_misfits(self, name, n_ignored, first):
        given = name, n_ignored, first, self.model, self.n_features, self.encoding.first_index
        for misfit in misfits(*given):
            if self.strict:
                raise ValueError(misfit)
            print(f"fastsoftmax: warning: {misfit}", file=sys.stderr)


def read(classifier, options):
    """The Dataset in file `options.data`, and its rows as the model in file `options.model` takes them; see Taken.read."""
    return Taken.of(classifier, options).read(options.data)


def read_training(classifier, path, format):
    """The Dataset in file `path` that the model was trained on, for its labels; its features may be any."""
    if classifier.encoding_.takes_texts:
        return datasets.read(source(path), *datasets.TEXT_FORMATS)
    return datasets.read(source(path), format)


def shown_answering(path, what, verbose):
    """A context that gives what shows how much of a data file has been answered, or None if not `verbose`."""
    return shown_bytes(_n_bytes(path), what, verbose)


def _name(path):
    return "standard input" if path == "-" else path
