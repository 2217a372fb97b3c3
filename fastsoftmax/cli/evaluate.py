"""`fastsoftmax evaluate`: the metrics of a model on a data file, one a line."""

from fastsoftmax.cli.common import add_depths, add_format_and_threads, labelled_rows, load

HELP = "log-loss, perplexity and ranking metrics on a data file"


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="DATA", help="a file of labelled rows, or - for standard input")
    add_depths(parser)
    add_format_and_threads(parser)


def run(options):
    from fastsoftmax.metrics import evaluate

    classifier, data, X = load(options)
    result = evaluate(classifier, *labelled_rows(classifier, data, X, options.data), ks=options.k)
    for name, value in result.items():
        print(f"{name}\t{value:.6g}" if isinstance(value, float) else f"{name}\t{value}")
