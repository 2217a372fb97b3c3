"""`fastsoftmax compress`: a model with weights in fewer bits, and what that costs on a data file."""

import os

from fastsoftmax.cli import common, tasks
from fastsoftmax.cli.common import (
    add_depths,
    add_format_and_threads,
    depths,
    labelled_rows,
    off_the_model,
    say_left_out,
)
from fastsoftmax.cli.manual import Manual
from fastsoftmax.model.compact import STORAGES
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import check_other_file, check_writable

HELP = "write a smaller model, for predictions alone, and what it costs"
MANUAL = Manual(
    description="""
    The weights are kept in 16 or 8 bits. Such a model predicts, but is not trained further. With --data, both models
    are measured on the same rows.
    """,
    writes="""
    The small model, to the file of -o. On standard output: "bytes" and the sizes of both files; with --data, each
    metric of the model and of the small one and its change, and "same_best", the share of the rows with the same best
    label.
    """,
    examples=(
        ("fastsoftmax compress model.safetensors -o small.safetensors --storage int8", "a quarter of the size"),
        ("fastsoftmax compress model.safetensors -o small.safetensors --data test.svm", "and what it costs"),
    ),
)


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("-o", "--output", metavar="MODEL", required=True, help="the file to write")
    parser.add_argument(
        "--storage", choices=STORAGES, default="bfloat16", help="what the weights are kept as (default: %(default)s)"
    )
    parser.add_argument("--data", metavar="DATA", help="rows to compare both models on (default: no comparison)")
    add_depths(parser)
    add_format_and_threads(parser)


def run(options):
    with off_the_model(options.output):
        _run(options)


def _run(options):
    from fastsoftmax.estimators import saving
    from fastsoftmax.estimators.loading import load
    from fastsoftmax.estimators.regression import SoftmaxRegression

    check_writable("output", options.output)
    check_other_file("--output", options.output, "the model itself", options.model)
    say(f"loading {options.model}", options.verbose)
    model = load(options.model)
    tasks.check_classifier(model, "fastsoftmax compress")
    say("compressing the weights", options.verbose)
    compact = model.compressed(options.storage)
    if isinstance(compact, SoftmaxRegression):
        compact.save(options.output)
    else:
        saving.save(compact, options.output, verbose=options.verbose)
    sizes = [os.path.getsize(path) if os.path.isfile(path) else "unknown" for path in (options.model, options.output)]
    print(f"bytes\t{sizes[0]}\t{sizes[1]}")
    if options.data is not None:
        _print_comparison(compact, options)


def _print_comparison(compact, options):
    """Each metric of the model and of its compact copy, and the difference."""
    from fastsoftmax.metrics import compare

    classifier, data, X = common.load(options)
    say_left_out(data, options)
    X, y, _ = labelled_rows(classifier, data, X, options.data)
    compact.classes_ = classifier.classes_
    compact.set_params(n_threads=options.threads)
    result = compare(classifier, compact, X, y, ks=depths(options.k, y), verbose=options.verbose)
    for name in result["change"]:
        before, after = (result[which][name] for which in ("model", "other"))
        texts = f"{before:.6g}", f"{after:.6g}"
        change = 0.0 if texts[0] == texts[1] else result["change"][name]  # what is not seen is rounding
        print(f"{name}\t{texts[0]}\t{texts[1]}\t{change:+.3g}")
    print(f"same_best\t{result['same_best']:.6g}")
