"""`fastsoftmax evaluate`: the metrics of a model on a data file, one a line."""

from fastsoftmax.cli import rows, tasks
from fastsoftmax.cli.arguments import number
from fastsoftmax.cli.common import (
    add_depths,
    add_format_and_threads,
    depths,
    labelled_rows,
    load_model,
    print_metrics,
    say_left_out,
)
from fastsoftmax.cli.manual import Manual
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import check_propensity_options, check_propensity_rows

HELP = "measure a model on a data file: log-loss, perplexity, rankings"
MANUAL = Manual(
    description="""
    Of a classifier: log-loss, perplexity, precision, hit rate, MRR and nDCG, and of rows with several labels recall.
    Labels that the model does not know count as misses. Of a model of next items: hit rate, MRR, nDCG and coverage.
    Of a language model: the perplexity over all words and ends of sentences.
    """,
    writes="A metric and its value, separated by a tab, on each line of standard output.",
    examples=(
        ("fastsoftmax evaluate model.safetensors test.svm -k 1 10", "of a classifier, at depths 1 and 10"),
        ("fastsoftmax evaluate model.safetensors test.txt --train-data train.txt", "propensity-scored metrics as well"),
        ("fastsoftmax evaluate items.fsm test.csv --protocol last", "of next items, the last one of each user"),
    ),
)


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file, or a folder of such")
    parser.add_argument("data", metavar="DATA", help="a file of labelled rows, or - for standard input")
    add_depths(parser)
    parser.add_argument(
        "--train-data",
        metavar="FILE",
        help="what the model was trained on; adds PSP and PSnDCG, which count its labels (default: they are left out)",
    )
    parser.add_argument(
        "--propensity",
        type=number,
        nargs=2,
        metavar=("A", "B"),
        help="the constants of PSP and PSnDCG (default: 0.55 1.5)",
    )
    tasks.add_options(parser, "evaluate")
    add_format_and_threads(parser, tasks.FORMATS)


def run(options):
    from fastsoftmax.metrics import evaluate

    check_propensity_options(options.train_data, options.propensity)
    classifier = load_model(options)
    evaluate_task = tasks.of_model(classifier, "evaluate", options)
    if evaluate_task:
        return evaluate_task(classifier, options)
    data, X = rows.read(classifier, options)
    training = None
    if options.train_data is not None:
        say(f"reading the labels of {options.train_data}", options.verbose)
        training = rows.read_training(classifier, options.train_data, options.format)
        check_propensity_rows(options.train_data, training.n_samples)
    say("comparing the labels with the model's", options.verbose)
    say_left_out(data, options)
    X, y, y_training = labelled_rows(classifier, data, X, options.data, training, options.train_data)
    numbers = None if training is None else _inverse_propensities(y, y_training, options.propensity)
    measured = {"ks": depths(options.k, y), "inverse_propensities": numbers, "verbose": options.verbose}
    print_metrics(evaluate(classifier, X, y, **measured))


def _inverse_propensities(y, y_training, parameters):
    """1 / propensity of each label, in the form that `evaluate` takes for such a `y`."""
    from fastsoftmax.metrics import inverse_propensities

    given = {} if parameters is None else dict(zip("AB", parameters, strict=True))
    numbers = inverse_propensities(y_training, **given)
    return dict(enumerate(numbers.tolist())) if y.ndim == 1 else numbers
