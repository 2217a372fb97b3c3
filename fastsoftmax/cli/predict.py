"""`fastsoftmax predict`: the best labels of each row of a data file, on standard output."""

import sys

import numpy as np

from fastsoftmax.cli.arguments import integer, number
from fastsoftmax.cli.common import add_format_and_threads, load
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.text.lines import EmptyFileError
from fastsoftmax.validation import check_label_columns

HELP = "write the best labels of each row, and their probabilities"
BLOCK = 4096  # rows predicted before their lines are written


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", default="-", help="a file, or - for standard input (default: -)"
    )
    parser.add_argument("-k", type=integer, default=5, help="labels a row, at most all (default: %(default)s)")
    parser.add_argument(
        "--threshold", type=number, metavar="P", help="leave out labels of a lower probability (default: none)"
    )
    add_format_and_threads(parser)


def run(options):
    try:
        classifier, _, X = load(options)
    except EmptyFileError:  # no rows: no lines
        return
    check_label_columns("classes_", classifier.classes_.tolist())
    k = min(options.k, len(classifier.classes_))
    with shown_rows(X.shape[0], "predicting", options.verbose) as show:
        for start in range(0, X.shape[0], BLOCK):
            labels, log_proba = classifier.predict_topk(X[start : start + BLOCK], k, threshold=options.threshold)
            n_left = np.count_nonzero(log_proba > -np.inf, axis=1) if options.threshold else np.full(len(labels), k)
            for row_labels, row_proba, n in zip(labels.tolist(), np.exp(log_proba).tolist(), n_left, strict=True):
                print("\t".join(f"{label}\t{p:.6g}" for label, p in zip(row_labels[:n], row_proba[:n], strict=True)))
            show(len(labels))
    sys.stdout.flush()
