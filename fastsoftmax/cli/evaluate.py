"""`fastsoftmax evaluate`: the metrics of a model on a data file, one a line."""

from fastsoftmax.cli import rows, tasks
from fastsoftmax.cli.arguments import number
from fastsoftmax.cli.common import add_depths, add_format_and_threads, depths, labelled_rows, load_model, print_metrics
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import check_propensity_options, check_propensity_rows

HELP = "log-loss, perplexity and ranking metrics on a data file"


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file, or a folder of such")
    parser.add_argument("data", metavar="DATA", help="a file of labelled rows, or - for standard input")
    add_depths(parser)
    parser.add_argument(
        "--train-data",
        metavar="FILE",
        help="what the model was trained on: adds PSP and PSnDCG, which count its labels (default: they are left out)",
    )
    parser.add_argument(
        "--propensity", type=number, nargs=2, metavar=("A", "B"), help="of PSP and PSnDCG (default: 0.55 1.5)"
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
