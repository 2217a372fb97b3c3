"""The rows of a data file as a model takes them."""

import os
import sys

from fastsoftmax.runtime.progress import MANY_BYTES, say, shown_rows
from fastsoftmax.text import datasets
from fastsoftmax.validation import check_are_texts, check_path, check_reads, misfits

N_LOOKED_AT = 100  # rows, of those that are read as texts, that tell whether they are texts


def add_options(parser, other_formats=()):
    """The options of a command that applies a model to a data file; `other_formats` : what some models take."""
    parser.add_argument(
        "--format",
        choices=(*datasets.FORMATS, *other_formats),
        help="of DATA (default: texts if the model takes texts, else told from the first line)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse features that the model does not know, rather than ignore them"
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
        n_bytes = os.path.getsize(path) if os.path.exists(path) else 0
        say(f"reading {path}", verbose, n_rows=0, n_bytes=n_bytes)


def read(classifier, options):
    """The Dataset in file `options.data`, and its rows as the model in file `options.model` takes them.

    Without `options.strict`, features beyond the model's are left out, and standard error says how many values these were.

    Returns
    -------
    data : Dataset
    X : csr_matrix of float32, shape (n_samples, n_features)
    """
    encoding, n_features, model = classifier.encoding_, classifier.n_features_in_, options.model
    file, name = source(options.data), "standard input" if options.data == "-" else options.data
    say(f"reading {name}", options.verbose)
    if options.format is not None:
        check_reads(model, encoding, options.format)
    if encoding.takes_texts:
        data = datasets.read_texts(file)
        if options.format is None and not len(data.labels):
            check_are_texts(model, name, datasets.look_like_columns(data.X[:N_LOOKED_AT]))
        with shown_rows(data.n_samples, "finding the words", options.verbose, "texts") as show:
            return data, encoding.vectorizer.transform(data.X, show=show)
    extra_features = "error" if options.strict else "ignore"
    data = datasets.read(file, options.format, n_features=n_features, extra_features=extra_features)
    check_reads(model, encoding, data.format)
    for misfit in misfits(name, data.n_ignored, datasets.first_index(data), model, n_features, encoding.first_index):
        if options.strict:
            raise ValueError(misfit)
        print(f"fastsoftmax: warning: {misfit}", file=sys.stderr)
    return data, data.X


def read_training(classifier, path, format):
    """The Dataset in file `path` that the model was trained on, for its labels; its features may be any."""
    if classifier.encoding_.takes_texts:
        return datasets.read(source(path), *datasets.TEXT_FORMATS)
    return datasets.read(source(path), format)
