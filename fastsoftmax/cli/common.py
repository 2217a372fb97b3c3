"""What several commands share: an exit status, options, and a model with the rows that it is applied to."""

import contextlib
import os
import sys

import numpy as np

from fastsoftmax.cli import rows
from fastsoftmax.cli.arguments import integer, level
from fastsoftmax.cli.team import number_classes
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import LabelLists, as_text_array, check_data_of_ranks, check_same_kind, family

INTERRUPTED = 130  # exit status of a shell command ended by Ctrl-C
DEPTHS = [1, 3, 5, 20]  # of the ranking metrics of one label a row, if none are given


def add_format_and_threads(parser, other_formats=()):
    """The options of a command that applies a model to a data file; `other_formats` : what some models take."""
    rows.add_options(parser, other_formats)
    add_threads(parser)


def add_threads(parser):
    """The option `--threads`."""
    parser.add_argument(
        "--threads",
        type=integer,
        metavar="THREADS",
        help="how many threads work; -1: as many as the process may use CPUs (default: OMP_NUM_THREADS, or as many as there "
        "are CPUs)",
    )


def add_depths(parser):
    """The option `-k` of a command that measures rankings."""
    parser.add_argument(
        "-k",
        type=integer,
        nargs="+",
        metavar="DEPTH",
        help="how many of the best labels the ranking metrics look at "
        f"(default: {' '.join(map(str, DEPTHS))}, or 1 3 5 where rows have several labels)",
    )


def depths(given, y):
    """The depths given by `-k`, or the defaults for these labels; None: those of metrics.evaluate."""
    return given or (DEPTHS if y.ndim == 1 else None)


def print_metrics(metrics):
    """Print metrics, a dict of numbers, one a line."""
    for name, value in metrics.items():
        print(f"{name}\t{value:.6g}" if isinstance(value, float) else f"{name}\t{value}")


def say_left_out(data, options):
    """Say how many rows of a Dataset have no label, unless the options are to say less."""
    if data.n_unlabelled:
        say(f"{data.n_unlabelled:,} rows without a label are left out", level(options))


def off_the_model(output):
    """A context in which what is printed goes to standard error where the file `output` is standard output itself."""
    try:
        is_output = os.path.samestat(os.stat(output), os.fstat(sys.stdout.fileno()))
    except OSError:  # there is no file yet, or Python holds what is printed
        is_output = False
    return contextlib.redirect_stdout(sys.stderr) if is_output else contextlib.nullcontext()


def load(options):
    """The model `options.model`, and the rows of the data file `options.data` as the model takes them.

    Returns
    -------
    classifier : SoftmaxClassifier
    data : Dataset
    X : csr_matrix of float32, shape (n_samples, n_features)
    """
    classifier = load_model(options)
    return classifier, *rows.read(classifier, options)


def load_model(options):
    """The model `options.model`, for the data file `options.data`."""
    check_data_of_ranks(options.data, options.team.size)
    say(f"loading {options.model}", options.verbose)
    return options.team.load(options.model, options.threads)


def labelled_rows(classifier, data, X, path, training=None, training_path=None):
    """The rows that have labels, and their labels as codes of classes, for an evaluation.

    The codes become the labels of the classifier as well, so that both speak of the same classes.

    Parameters
    ----------
    training, training_path : Dataset and str, optional
        The rows that the classifier was trained on, and the file that they are from.

    Returns
    -------
    X : csr_matrix of float32, shape (n_labelled, n_features)
    y : the code of each row's label, (n_labelled,), where every row has one; otherwise an indicator of bool as csr_array of
        shape (n_labelled, n_classes + number of labels that the model does not know)
    y_training : the indicator of the labels of `training`, with the same columns; None without
    """
    labelled = np.flatnonzero(np.diff(data.label_starts))
    files = [(path, data)] if training is None else [(path, data), (training_path, training)]
    y, *others = true_codes(files, classifier.classes_)
    y = y[labelled]
    number_classes(classifier)
    return X[labelled], (y.indices if y.nnz == len(labelled) else y), (others[0] if others else None)


def true_codes(files, classes):
    """The labels of the rows of each file as indicators of the same class codes, given paths and Datasets.

    A label that the model does not know has a column beyond its classes.
    """
    labels = [_labels_like(classes, data, path) for path, data in files]
    check_same_kind([path for path, _ in files], labels)
    sizes = np.concatenate([np.diff(data.label_starts) for _, data in files])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    y = LabelLists(np.concatenate(labels), starts).encode(classes, unknown=-1, name=files[0][0]).astype(bool)
    out, start = [], 0
    for path, data in files:
        out.append(y[start : start + data.n_samples])
        start += data.n_samples
        if out[-1].indices.min() >= len(classes):
            theirs, ours = (", ".join(map(repr, a[:3].tolist())) for a in (data.labels, classes))
            raise ValueError(
                f"{path}: none of its labels is a class of the model: it has {theirs}, ..., the model {ours}, ..."
            )
    return out


def _labels_like(classes, data, path):
    """The labels of a Dataset. Numbers in a file are also the strings that a model may have learned, "3" being 3."""
    if not len(data.labels):
        raise ValueError(f"{path}: none of the {data.n_samples:,} rows has a label")
    if family(classes) == "strings" and family(data.labels) == "integers":
        return as_text_array([str(label) for label in data.labels.tolist()])
    return data.labels
