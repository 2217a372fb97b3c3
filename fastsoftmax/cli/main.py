"""The parser of the command `fastsoftmax`, and the exit status that a run ends with."""

import argparse
import os
import sys

from fastsoftmax.cli import compress, demo, evaluate, info, predict, train
from fastsoftmax.cli.common import INTERRUPTED

COMMANDS = {
    "demo": demo,
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "compress": compress,
    "info": info,
}


def main(arguments=None):
    """Run the command line `arguments` (default: sys.argv). Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if arguments[:1] == ["bench"]:
            from fastsoftmax.benches.__main__ import main as bench

            return bench(arguments[1:], prog="fastsoftmax bench") or 0
        options = _parser().parse_args(arguments)
        return options.run(options) or 0
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, MemoryError, OSError, FloatingPointError) as error:
        print(f"fastsoftmax: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nfastsoftmax: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser():
    parser = argparse.ArgumentParser(prog="fastsoftmax", description="Softmax over very many classes on CPUs.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.HELP)
        command.add_options(subparser)
        subparser.set_defaults(run=command.run)
    # The benchmarks are no part of the library and have a parser of their own, which `main` hands the rest to.
    subparsers.add_parser(
        "bench", add_help=False, help="compare with other systems, time the kernels: see bench --help"
    )
    return parser
