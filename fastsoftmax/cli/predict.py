"""`fastsoftmax predict`: the best labels of each row of a data file, on standard output."""

import sys

import numpy as np

from fastsoftmax.cli import rows, tasks
from fastsoftmax.cli.arguments import integer, number
from fastsoftmax.cli.common import add_format_and_threads, load_model
from fastsoftmax.cli.team import number_classes
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.text.lines import EmptyFileError
from fastsoftmax.validation import check_has_method, check_label_columns, check_threshold

HELP = "write the best labels of each row, and their probabilities"
BLOCK = 4096  # rows predicted before their lines are written,
MARGINALS = 1 << 22  # or as many as have about so many marginal probabilities


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file, or a folder of such")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", default="-", help="a file, or - for standard input (default: -)"
    )
    parser.add_argument(
        "-k",
        "--top",
        dest="k",
        type=integer,
        default=5,
        metavar="K",
        help="labels a row, at most all (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold", type=number, metavar="P", help="leave out labels of a lower probability (default: none)"
    )
    parser.add_argument(
        "--marginals",
        action="store_true",
        help="write the probability of each label by itself; those of a row need not add up to 1",
    )
    tasks.add_options(parser, "predict")
    add_format_and_threads(parser, tasks.FORMATS)


def run(options):
    classifier = load_model(options)
    predict = tasks.of_model(classifier, "predict", options)
    if options.marginals and not predict:
        check_has_method(classifier, "predict_marginals", "--marginals")
    try:
        if predict:
            return predict(classifier, options)
        _, X = rows.read(classifier, options)
    except EmptyFileError:  # no rows: no lines
        return None
    classes = classifier.classes_
    check_label_columns("classes_", classes.tolist())
    number_classes(classifier)  # of codes, both kinds of probabilities can be made
    k, block, probabilities = min(options.k, len(classes)), BLOCK, _among_all
    if options.marginals:
        block, probabilities = max(1, min(BLOCK, MARGINALS // len(classes))), _by_itself
    with shown_rows(X.shape[0], "predicting", options.verbose) as show:
        for start in range(0, X.shape[0], block):
            codes, proba, n_left = probabilities(classifier, X[start : start + block], k, options.threshold)
            for row_labels, row_proba, n in zip(classes[codes].tolist(), proba.tolist(), n_left, strict=True):
                print("\t".join(f"{label}\t{p:.6g}" for label, p in zip(row_labels[:n], row_proba[:n], strict=True)))
            show(len(codes))
    sys.stdout.flush()


def _among_all(classifier, X, k, threshold):
    """The k best codes of each row, their probabilities, which add up to 1 over all, and how many reach the threshold."""
    codes, log_proba = classifier.predict_topk(X, k, threshold=threshold)
    n_left = np.count_nonzero(log_proba > -np.inf, axis=1) if threshold else np.full(len(codes), k)
    return codes, np.exp(log_proba), n_left


def _by_itself(classifier, X, k, threshold):
    """The same with marginal probabilities, by which a row's classes have the same order."""
    codes, _ = classifier.predict_topk(X, k)
    proba = np.take_along_axis(classifier.predict_marginals(X), codes, axis=1)
    least = -np.inf if threshold is None else check_threshold(threshold)
    return codes, proba, np.count_nonzero(proba >= least, axis=1)
