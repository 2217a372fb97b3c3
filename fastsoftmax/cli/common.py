"""What several commands share: an exit status, options, and a model with the rows that it is applied to."""

import sys

import numpy as np

from fastsoftmax.cli import rows

INTERRUPTED = 130  # exit status of a shell command ended by Ctrl-C
DEPTHS = [1, 3, 5, 20]  # of the ranking metrics, if none are given


def add_format_and_threads(parser):
    """The options of a command that applies a model to a data file."""
    rows.add_options(parser)
    parser.add_argument("--threads", type=int)


def load(options):
    """The model `options.model`, and the rows of the data file `options.data` as the model takes them.

    Returns
    -------
    classifier : SoftmaxClassifier
    data : Dataset
    X : csr_matrix of float32, shape (n_samples, n_features)
    """
    from fastsoftmax.estimators.loading import load

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
    y = _true_codes(data, classifier.classes_)[labelled]
    classifier.classes_ = np.arange(len(classifier.classes_))
    return X[labelled], y


def _true_codes(data, classes):
    """The labels of each row as an indicator of class codes; a label that the model does not know has a column beyond."""
    from scipy.sparse import csr_matrix

    known = np.isin(data.labels, classes)
    codes = np.searchsorted(classes, data.labels)
    unknown, codes_beyond = np.unique(data.labels[~known], return_inverse=True)
    codes[~known] = len(classes) + codes_beyond
    ones = np.ones(len(codes), bool)
    return csr_matrix((ones, codes, data.label_starts), shape=(data.n_samples, len(classes) + len(unknown)))
