"""`fastsoftmax demo`: the options of the program in `next_token`."""

HELP = "train a next-token model on Python's own standard library"


def add_options(parser):
    parser.add_argument(
        "--complete", metavar="TEXT", action="append", default=[], help="a prompt to complete; repeatable"
    )
    parser.add_argument("--corpus", metavar="DIR", help="a folder of text or source to train on instead")
    parser.add_argument("--loss", choices=("sampled_softmax", "softmax"), default="sampled_softmax")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int)


def run(options):
    from fastsoftmax.cli import next_token

    next_token.run(
        corpus=options.corpus,
        prompts=options.complete,
        loss=options.loss,
        epochs=options.epochs,
        n_threads=options.threads,
    )
