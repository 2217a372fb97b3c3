"""`fastsoftmax explain`: the features of each row that speak for its label, on standard output."""

import json
import sys

from fastsoftmax.cli import rows, tasks
from fastsoftmax.cli.arguments import integer
from fastsoftmax.cli.common import add_format_and_threads, load_model
from fastsoftmax.cli.manual import Manual
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.text.lines import EmptyFileError
from fastsoftmax.validation import check_int, check_known_label, family

HELP = "write which features of each row speak for its label, and how much"
MANUAL = Manual(
    description="""
    A label's logit is a sum over the features of the row and a bias. The parts of the features are written, the
    largest first, and the rest in one number.
    """,
    writes="""
    For each row a few lines for people, or with --jsonl a JSON object on a line of its own: "line", "label", "logit",
    "log_proba", "bias", "features" (each with "feature", "value" and "contribution") and "rest". On standard output.
    """,
    examples=(
        ("fastsoftmax explain model.safetensors new.txt --top 5", "the best label of each row, and why"),
        ("fastsoftmax explain model.safetensors new.txt --label rice", "why each row has this label, or has it not"),
        ("fastsoftmax explain model.safetensors new.txt --rows 10 --jsonl", "a JSON object for each of ten rows"),
    ),
)
BLOCK = 1024  # rows explained before their lines are written


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file, or a folder of such")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", default="-", help="a file, or - for standard input (default: -)"
    )
    parser.add_argument(
        "--top",
        type=integer,
        default=10,
        metavar="FEATURES",
        help="how many are written for a row (default: %(default)s)",
    )
    parser.add_argument("--label", metavar="LABEL", help="what to explain for all rows (default: the best of each)")
    parser.add_argument(
        "--rows", type=integer, metavar="ROWS", help="how many to explain, the first ones (default: all)"
    )
    parser.add_argument(
        "--jsonl", action="store_true", help="write a JSON object for each row, on a line of its own (off by default)"
    )
    add_format_and_threads(parser)


def run(options):
    top = check_int("--top", options.top, minimum=1)
    if options.rows is not None:
        check_int("--rows", options.rows, minimum=1)
    classifier = load_model(options)
    tasks.check_classifier(classifier, "fastsoftmax explain")
    try:
        data, X = rows.read(classifier, options)
    except EmptyFileError:  # no rows: no lines
        return
    X = X[: options.rows]
    label = None if options.label is None else _label(options.label, classifier.classes_)
    written = _as_json if options.jsonl else _as_text
    with shown_rows(X.shape[0], "explaining", options.verbose) as show:
        for start in range(0, X.shape[0], BLOCK):
            explanations = classifier.explain(X[start : start + BLOCK], label, top)
            line_numbers = data.line_numbers[start : start + BLOCK].tolist()
            for line_number, explanation in zip(line_numbers, explanations, strict=False):  # there are further rows
                print(written(line_number, explanation))
            show(len(explanations))
    sys.stdout.flush()


def _label(text, classes):
    """The label that the text of `--label` stands for."""
    label = text
    if family(classes) == "integers":
        try:
            label = int(text)
        except ValueError:
            raise ValueError(f"--label must be a whole number, as the labels of the model are, got {text!r}") from None
    check_known_label("--label", label, classes)
    return label


def _as_text(line_number, explanation):
    return f"line {line_number}: {explanation}"


def _as_json(line_number, explanation):
    parts = zip(explanation.features, explanation.values.tolist(), explanation.contributions.tolist(), strict=True)
    return json.dumps(
        {
            "line": line_number,
            "label": explanation.label,
            "logit": explanation.logit,
            "log_proba": explanation.log_proba,
            "bias": explanation.bias,
            "features": [dict(zip(("feature", "value", "contribution"), part, strict=True)) for part in parts],
            "rest": explanation.rest,
        },
        default=str,  # of dates and other labels that JSON does not have
    )
