"""`fastsoftmax ngrams`: a back-off n-gram language model of texts, written to an ARPA file."""

from pathlib import Path

from fastsoftmax.cli.arguments import integer, number
from fastsoftmax.cli.common import off_the_model
from fastsoftmax.cli.manual import Manual
from fastsoftmax.cli.rows import source
from fastsoftmax.validation import check_other_file, check_writable

HELP = "estimate an n-gram language model from texts, and write it to an ARPA file"
MANUAL = Manual(
    description="""
    Interpolated modified Kneser-Ney estimates, as of KenLM's lmplz. Other programs for n-gram models read the file.
    """,
    writes="The model, to the file of -o. On standard output, how many n-grams of each length it has, a length a line.",
    examples=(
        ("fastsoftmax ngrams text.txt --order 5 -o model.arpa.gz", "a compressed file"),
        (
            "fastsoftmax ngrams text.txt more.txt.gz --prune 0 0 1 -o model.arpa",
            "without what comes once from length 3 on",
        ),
    ),
)
FALLBACK = [0.5, 1.0, 1.5]


def add_options(parser):
    parser.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="files with a sentence a line, whose words blanks separate, plain or compressed; - is standard input",
    )
    parser.add_argument(
        "-o", "--output", metavar="MODEL", required=True, help="the file to write, compressed if it ends in .gz"
    )
    parser.add_argument(
        "--order",
        type=integer,
        default=5,
        metavar="WORDS",
        help="how many the longest n-grams have (default: %(default)s)",
    )
    parser.add_argument(
        "--prune",
        type=integer,
        nargs="+",
        default=0,
        metavar="COUNT",
        help="leave out n-grams that occur so often or less: a number for each length from 1 on, which begin with 0 and do "
        "not fall; the last one holds for all longer n-grams (default: %(default)s)",
    )
    parser.add_argument(
        "--discount-fallback",
        type=number,
        nargs="*",
        metavar="D",
        help="the discounts of n-grams that come once, twice, and more often, where a text is too small to estimate them; "
        "without numbers 0.5 1 1.5 (default: such a text is an error)",
    )


def run(options):
    with off_the_model(options.output):
        _run(options)


def _run(options):
    from fastsoftmax.ngrams.model import NGramLanguageModel

    check_writable("output", options.output)
    for text in options.texts:
        check_other_file("--output", options.output, "a text", None if text == "-" else text)
    model = NGramLanguageModel.estimate(
        [Path(text) if text != "-" else source(text) for text in options.texts],
        options.order,
        prune=options.prune,
        discount_fallback=FALLBACK if options.discount_fallback == [] else options.discount_fallback,
        verbose=options.verbose,
    )
    model.save_arpa(options.output, verbose=options.verbose)
    for length, n_ngrams in enumerate(model.n_ngrams, start=1):
        print(f"{length}-grams\t{n_ngrams}")
