"""What several commands share: an exit status, options, and a model with the rows that it is applied to."""

import sys

import numpy as np

from fastsoftmax.cli import rows
from fastsoftmax.cli.arguments import integer
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import LabelLists, as_text_array, family

INTERRUPTED = 130  # exit status of a shell command ended by Ctrl-C
DEPTHS = [1, 3, 5, 20]  # of the ranking metrics, if none are given


def add_format_and_threads(parser):
    """The options of a command that applies a model to a data file."""
    rows.add_options(parser)
    add_threads(parser)
    add_verbose(parser)


def add_threads(parser):
    """The option `--threads`."""
    parser.add_argument(
        "--threads",
        type=integer,
        metavar="N",
        help="-1: all CPUs of the process (default: OMP_NUM_THREADS, or as many as there are CPUs)",
    )


def add_verbose(parser):
    """The option `--verbose`."""
    parser.add_argument(
        "--verbose", action="store_true", help="say on standard error what is being done, and how far it is"
    )


def add_depths(parser):
    """The option `-k` of a command that measures rankings."""
    parser.add_argument(
        "-k",
        type=integer,
        nargs="+",
        default=DEPTHS,
        metavar="K",
        help=f"depths of the ranking metrics (default: {' '.join(map(str, DEPTHS))})",
    )


def load(options):
    """The model `options.model`, and the rows of the data file `options.data` as the model takes them.

    Returns
    -------
    classifier : SoftmaxClassifier
    data : Dataset
    X : csr_matrix of float32, shape (n_samples, n_features)
    """
    from fastsoftmax.estimators.loading import load

    say(f"loading {options.model}", options.verbose)
    classifier = load(options.model)
    classifier.set_params(n_threads=options.threads)
    return classifier, *rows.read(classifier, options)


def labelled_rows(classifier, data, X, path):
    """The rows that have labels, and the labels as an indicator of class codes, for an evaluation.

    The codes become the labels of the classifier as well, so that both speak of the same classes.

    Returns
    -------
    X : csr_matrix of float32, shape (n_labelled, n_features)
    y : csr_matrix of bool, shape (n_labelled, n_classes + number of labels that the model does not know)
    """
    labelled = np.flatnonzero(np.diff(data.label_starts))
    if data.n_unlabelled:
        print(f"{data.n_unlabelled:,} rows without a label are left out", file=sys.stderr)
    if not len(labelled):
        raise ValueError(f"{path}: none of the {data.n_samples:,} rows has a label")
    y = _true_codes(data, classifier.classes_, path)[labelled]
    classifier.classes_ = np.arange(len(classifier.classes_))
    return X[labelled], y


def _true_codes(data, classes, path):
    """The labels of each row as an indicator of class codes; a label that the model does not know has a column beyond.

    Numbers in a file are also the strings that a model may have learned, "3" being 3.
    """
    labels = data.labels
    if family(classes) == "strings" and family(labels) == "integers":
        labels = as_text_array([str(label) for label in labels.tolist()])
    y = LabelLists(labels, data.label_starts).encode(classes, unknown=-1, name=path)
    if y.indices.min() >= len(classes):
        theirs, ours = (", ".join(map(repr, a[:3].tolist())) for a in (data.labels, classes))
        raise ValueError(
            f"{path}: none of its labels is a class of the model: it has {theirs}, ..., the model {ours}, ..."
        )
    return y.astype(bool)
