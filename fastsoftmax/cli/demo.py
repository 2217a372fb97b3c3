"""`fastsoftmax demo`: the options of the program in `next_token`."""

from fastsoftmax.cli.arguments import integer
from fastsoftmax.cli.common import add_threads

HELP = "train a next-token model on Python's own standard library"


def add_options(parser):
    parser.add_argument(
        "--complete",
        metavar="TEXT",
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
        help="of the low-rank term (default: %(default)s)",
    )
    parser.add_argument("--epochs", type=integer, default=1, metavar="N", help="(default: %(default)s)")
    add_threads(parser)


def run(options):
    from fastsoftmax.cli import next_token

    next_token.run(
        corpus=options.corpus,
        prompts=options.complete,
        loss=options.loss,
        epochs=options.epochs,
        n_threads=options.threads,
    )
