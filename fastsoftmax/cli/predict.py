"""`fastsoftmax predict`: the best labels of each row of a data file, on standard output."""

import numpy as np

from fastsoftmax.cli import tasks
from fastsoftmax.cli.answers import Answers
from fastsoftmax.cli.arguments import integer, number
from fastsoftmax.cli.common import add_format_and_threads, load_model
from fastsoftmax.cli.manual import Manual
from fastsoftmax.cli.rows import Taken, shown_answering
from fastsoftmax.cli.team import number_classes
from fastsoftmax.text.lines import EmptyFileError
from fastsoftmax.validation import check_has_method, check_threshold

HELP = "write the best labels of each row, and their probabilities"
MANUAL = Manual(
    description="""
    Rows are read and answered as they come. From a pipe or a terminal, each line is answered as soon as it is there,
    so that another program can ask line by line; from a file, many rows at once. A table of events is read to its end
    first.

    Labels in DATA are ignored. A line that cannot be read ends the command with an error that names it, after the
    answers to the lines before it.
    """,
    writes="""
    A line for each row, in the order of DATA: label, probability, label, probability and so on, separated by tabs,
    the best label first. Of a table of events, a line for each user, which begins with the user's name.

    With --jsonl, a JSON object for each row, on a line of its own: "line", the number of its line in DATA, or "user",
    of a table of events; "classes", the labels, the best first, which are strings where the model has names for its
    classes; and "probabilities", a number for each of these.
    """,
    examples=(
        ("fastsoftmax predict model.safetensors new.svm -k 5", "the five best labels of each row"),
        ("fastsoftmax predict model.safetensors new.txt --threshold 0.5", "the labels that are more likely than not"),
        (
            "tail -f queries.txt | fastsoftmax predict model.safetensors --jsonl",
            "JSON, a line as soon as there is a query",
        ),
        (
            "fastsoftmax predict items.fsm histories.txt --exclude-seen",
            "next items, of a model of train --task next-item",
        ),
    ),
)
BLOCK = 4096  # rows predicted before their lines are written,
MARGINALS = 1 << 22  # or as many as have about so many marginal probabilities
JSONL = "jsonl"


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
        metavar="LABELS",
        help="how many labels a row gets, at most all (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=number,
        metavar="PROBABILITY",
        help="leave out labels of a lower probability (default: none)",
    )
    parser.add_argument(
        "--marginals",
        action="store_true",
        help="write the probability of each label by itself; those of a row need not add up to 1 (off by default)",
    )
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help="write a JSON object for each row, on a line of its own; --format jsonl is the same (off by default)",
    )
    tasks.add_options(parser, "predict")
    add_format_and_threads(parser, (*tasks.FORMATS, JSONL))


def run(options):
    if options.format == JSONL:  # which DATA are never in
        options.format, options.jsonl = None, True
    classifier = load_model(options)
    predict = tasks.of_model(classifier, "predict", options) or _predict
    try:
        return predict(classifier, options)
    except EmptyFileError:  # no rows: no lines
        return None


def _predict(classifier, options):
    if options.marginals:
        check_has_method(classifier, "predict_marginals", "--marginals")
    classes, taken = classifier.classes_, Taken.of(classifier, options)
    answers = Answers(options, "classes_", classes.tolist())
    number_classes(classifier)  # of codes, both kinds of probabilities can be made
    k, size, probabilities = min(options.k, len(classes)), BLOCK, _among_all
    if options.marginals:
        size, probabilities = max(1, min(BLOCK, MARGINALS // len(classes))), _by_itself
    what = "finding the words, predicting" if taken.encoding.takes_texts else "predicting"
    with (
        shown_answering(options.data, what, options.verbose) as show,
        taken.opened(options.data, size, show) as blocks,
    ):
        for X, line_numbers in blocks:
            codes, proba, n_left = probabilities(classifier, X, k, options.threshold)
            heads = [{"line": number} for number in line_numbers.tolist()]
            answers.write(heads, classes[codes].tolist(), proba.tolist(), n_left.tolist())


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
