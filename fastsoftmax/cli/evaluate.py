"""`fastsoftmax evaluate`: the metrics of a model on a data file, one a line."""

from fastsoftmax.cli.common import add_depths, add_format_and_threads, labelled_rows, load
from fastsoftmax.runtime.progress import say

HELP = "log-loss, perplexity and ranking metrics on a data file"


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="DATA", help="a file of labelled rows, or - for standard input")
    add_depths(parser)
    add_format_and_threads(parser)


def run(options):
    from fastsoftmax.metrics import evaluate

    classifier, data, X = load(options)
    say("comparing the labels with the model's", options.verbose)
    X, y = labelled_rows(classifier, data, X, options.data)
    result = evaluate(classifier, X, y, ks=options.k, verbose=options.verbose)
    for name, value in result.items():
        print(f"{name}\t{value:.6g}" if isinstance(value, float) else f"{name}\t{value}")
