"""The parser of the command `fastsoftmax`, and the exit status that a run ends with."""

import contextlib
import io
import os
import sys
import warnings

from fastsoftmax.cli import (
    complete,
    completion,
    compress,
    demo,
    evaluate,
    explain,
    info,
    manual,
    ngrams,
    predict,
    train,
)
from fastsoftmax.cli.arguments import add_messages, naming_options
from fastsoftmax.cli.common import INTERRUPTED
from fastsoftmax.cli.team import Alone, Leader, Member
from fastsoftmax.distributed import launch

COMMANDS = {
    "demo": demo,
    "train": train,
    "predict": predict,
    "complete": complete,
    "evaluate": evaluate,
    "explain": explain,
    "compress": compress,
    "ngrams": ngrams,
    "info": info,
    "completion": completion,
}


def main(arguments=None):
    """Run the command line `arguments` (default: sys.argv). Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if sys.stderr is None:
        sys.stderr = io.StringIO()  # or errors would be written to standard output
    try:
        ranks = launch.ranks()
    except (ImportError, ValueError) as error:
        if launch.place()[2] == 0:  # one process of each machine
            print(f"fastsoftmax: error: {error}", file=sys.stderr)
        return 1
    if ranks.rank:
        member = Member(ranks)
        with _plain_warnings(member, show=False):
            return member.follow()
    if ranks.size == 1:
        return _main(arguments, Alone())
    with Leader(ranks) as leader:
        leader.status = _main(arguments, leader)
        return leader.status


def _main(arguments, team):
    """The exit status of the command line `arguments`, whose work a Leader does, or one process Alone."""
    with _plain_warnings(team):
        return _run(arguments, team)


def _run(arguments, team):
    try:
        if sys.stdout is None:
            raise OSError("standard output is closed: redirect it to a file or to /dev/null")
        if arguments[:1] == ["bench"]:
            from fastsoftmax.benches.__main__ import main as bench

            return bench(arguments[1:], prog="fastsoftmax bench") or 0
        options = _parser().parse_args(arguments)
        options.team = team
        status = options.run(options) or 0
        sys.stdout.flush()  # a full disk is an error of ours, and not one of the interpreter's end
        return status
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        _drop_output()
        return 0
    except (ValueError, TypeError, MemoryError, OSError, FloatingPointError, ImportError) as error:
        team.failed(error)
        _flush_or_drop_output()
        print(f"fastsoftmax: error: {naming_options(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        team.failed(error)
        print("\nfastsoftmax: interrupted", file=sys.stderr)
        return INTERRUPTED


@contextlib.contextmanager
def _plain_warnings(team, *, show=True):
    """A context in which a warning of the library is a line like others of the command, without a place in its source.

    team : what remembers the warnings; show : whether they are printed at once
    """

    def as_line(message, *where):
        text = naming_options(str(message))
        team.warned(text)
        return f"fastsoftmax: warning: {text}\n" if show else ""

    before = warnings.formatwarning
    warnings.formatwarning = as_line
    try:
        yield
    finally:
        warnings.formatwarning = before


def _flush_or_drop_output():
    """Write what standard output still holds, or have it go nowhere where its disk is full."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output():
    """Have what is still to be written go nowhere, since writing it would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser():
    about = (
        "Softmax over very many classes on CPUs. What each command does, and how it exits: fastsoftmax COMMAND --help"
    )
    parser = manual.Parser(prog="fastsoftmax", description=about)
    parser.add_argument("--version", action=info.Version, help="print the version and exit")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, **manual.of_parser(command.HELP, command.MANUAL))
        command.add_options(subparser)
        add_messages(subparser)
        subparser.set_defaults(run=command.run)
    # The benchmarks are no part of the library and have a parser of their own, which `main` hands the rest to.
    subparsers.add_parser(
        "bench", add_help=False, help="compare with other systems, time the kernels: see bench --help"
    )
    return parser
