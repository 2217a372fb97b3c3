"""`fastsoftmax demo`: the options of the program in `next_token`."""

from fastsoftmax.cli.arguments import integer, level
from fastsoftmax.cli.common import add_threads
from fastsoftmax.cli.manual import Manual

HELP = "train a next-token model on Python's own standard library"
MANUAL = Manual(
    description="""
    It trains a LanguageModel over tens of thousands of classes, compares it with n-gram models on files that it held
    out, and completes prompts. With the defaults that takes a few minutes and needs no data from elsewhere.
    """,
    writes="What it does and what comes of it, on standard output; how far the training is, on standard error. No file.",
    examples=(
        ("fastsoftmax demo", "the standard library of this Python"),
        ('fastsoftmax demo --corpus src --complete "for i in"', "another folder, and a prompt of one's own"),
    ),
)


def add_options(parser):
    parser.add_argument(
        "--complete",
        metavar="PROMPT",
        action="append",
        default=[],
        help="a prompt to complete; may be repeated (default: beginnings of lines)",
    )
    parser.add_argument(
        "--corpus", metavar="DIR", help="a folder of text or source to train on (default: Python's standard library)"
    )
    parser.add_argument(
        "--loss",
        choices=("sampled_softmax", "softmax"),
        default="sampled_softmax",
        help="what the low-rank term minimises (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs", type=integer, default=1, metavar="EPOCHS", help="passes over the files (default: %(default)s)"
    )
    add_threads(parser)


def run(options):
    from fastsoftmax.cli import next_token

    next_token.run(
        corpus=options.corpus,
        prompts=options.complete,
        loss=options.loss,
        epochs=options.epochs,
        n_threads=options.threads,
        verbose=level(options),
    )
