"""The command ``fastsoftmax bench``, which is ``python -m benches`` in a clone."""

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

from . import stored

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

DEFAULT = "all"
OUTPUT = Path("fastsoftmax-bench")


def main(arguments=None, prog="python -m benches"):
    """Run the command line `arguments` (default: sys.argv) and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments and arguments[0] == "instructions":  # which has options of its own
        from . import instructions

        return instructions.main(arguments[1:])
    parser = _parser(prog)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, DEFAULT)
    options = parser.parse_args(arguments)
    if hasattr(options, "output") and options.output.exists() and not options.output.is_dir():
        raise ValueError(f"output must be a folder, got the file {options.output}")
    if (
        hasattr(options, "output") and importlib.util.find_spec("matplotlib") is None
    ):  # say so before an hour of measuring
        parser.error("the report needs matplotlib: pip install matplotlib")
    with _alone(options):
        return options.run(options)


@contextlib.contextmanager
def _alone(options):
    """Lock the output folder: of two commands that write into it at once, one would undo what the other has stored."""
    if not hasattr(options, "output") or fcntl is None:
        yield
        return
    folder = options.output / "results"
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"output: another command is writing into {options.output}") from None
        try:
            yield
        finally:
            os.unlink(lock.name)
            if is_new and not any(folder.iterdir()):  # there was an error before any result
                folder.rmdir()
                with contextlib.suppress(OSError):  # fails if there are other files
                    options.output.rmdir()


def _parser(prog):
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Compare fastsoftmax with other systems on this machine. Without a command, as in --quick or --data FILE: "
        f"it measures quality and curves; five minutes with --quick. The options of each command: {prog} COMMAND --help",
    )
    commands = parser.add_subparsers(metavar="COMMAND")

    def add(name, run, help, *groups):
        command = commands.add_parser(name, help=help, description=help)
        for group in groups:
            group(command)
        command.set_defaults(run=run)
        return command

    add(DEFAULT, _all, "quality and curves, and the report (the default)", _output_options, _quality_options)
    add("quality", _quality, "every installed system on the same problems", _output_options, _quality_options)
    add("curves", _curves, "costs over classes, negatives and threads; memory over classes", _output_options)
    add(
        "kernels",
        _kernels,
        "ratios of kernels to their peers and the machine's limits",
        _output_options,
        _kernel_options,
    )
    report = add("report", _report, "write the report anew from the results in a folder")
    report.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="DIR", help="the folder with the results (default: %(default)s)"
    )
    peers = add("peers", _peers, "the other systems: what is installed; install them, each in its own environment")
    peers.add_argument(
        "--install",
        nargs="*",
        metavar="NAME",
        help="make their environments; all of them without a name (default: say what is installed)",
    )
    commands.add_parser(
        "instructions", help="count the kernels' instructions under valgrind: check or record", add_help=False
    )
    return parser


def _output_options(parser):
    parser.add_argument("--quick", action="store_true", help="fewer and smaller problems (off by default)")
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="DIR",
        help="the folder of results and report (default: %(default)s)",
    )


def _quality_options(parser):
    parser.add_argument(
        "--data",
        nargs="+",
        action="append",
        default=[],
        metavar="FILE",
        help="training rows and, as a second file, test rows: svmlight, extreme-classification or fastText format; may be "
        "repeated (default: none)",
    )
    parser.add_argument(
        "--only-data", action="store_true", help="leave out the problems that come with the package (off by default)"
    )
    parser.add_argument(
        "--systems", nargs="+", default=[""], metavar="TEXT", help="systems whose names contain a text (default: all)"
    )
    parser.add_argument(
        "--repetitions", type=_positive, metavar="RUNS", help="of a system on a problem (default: 3; with --quick 1)"
    )
    parser.add_argument("--threads", type=_positive, metavar="THREADS", help="for every system (default: all CPUs)")
    parser.add_argument(
        "--limit-seconds", type=float, metavar="SECONDS", help="of one run (default: 600; with --quick 10)"
    )
    parser.add_argument("--max-memory", type=float, metavar="GIB", help="of one run (default: 0.8 of what is free)")
    parser.add_argument(
        "--resume", action="store_true", help="keep the runs that are in the output folder already (off by default)"
    )


def _kernel_options(parser):
    parser.add_argument(
        "--family",
        action="append",
        metavar="NAME",
        help="measure this one only, may be repeated: rowwise, dense, csr, sampled, support, serving, screen (default: all)",
    )
    parser.add_argument(
        "--problem", default="", metavar="TEXT", help="problems whose name, shape and dtype contain it (default: all)"
    )


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _all(options):
    _measure_quality(options)
    _measure_curves(options)
    return _report(options)


def _quality(options):
    _measure_quality(options)
    return _report(options)


def _curves(options):
    _measure_curves(options)
    return _report(options)


def _kernels(options):
    from . import machine
    from .kernels import CASES, table
    from .report import kernels as tables
    from .report import to_markdown

    for family in options.family or ():
        if family not in CASES:
            raise ValueError(f"family must be one of {', '.join(CASES)}, got {family!r}")
    cases = [case for family in options.family or CASES for case in CASES[family]() if options.problem in case.label]
    if not cases:
        raise ValueError(f"problem: none of these families contains {options.problem!r}")
    if options.quick and not any(case.quick for case in cases):
        raise ValueError("quick leaves nothing of these families and problems to measure")
    path = _results_path(options, "kernels")
    about = {"machine": machine.describe()}
    known = stored.load(path) or {"families": {}}
    table.measure_all(options, known["families"], lambda families: stored.save(path, about | {"families": families}))
    shown = [tables.table(family, records) for family, records in stored.load(path)["families"].items()]
    print(to_markdown.markdown("Kernels", shown))
    return _report(options)


def _measure_quality(options):
    from . import machine
    from .quality import compare, problems
    from .quality.worker.systems import SYSTEMS

    systems = [name for name in SYSTEMS if any(text.lower() in name.lower() for text in options.systems)]
    if not systems:
        raise ValueError(
            f"systems: none contains {' or '.join(map(repr, options.systems))}; there are {', '.join(SYSTEMS)}"
        )
    for files in options.data:
        if len(files) > 2:
            raise ValueError(
                f"data takes a file of training rows and one of test rows, got {len(files)}: {' '.join(files)}"
            )
    limits = _limits(options)
    makers = {} if options.only_data else {"digits": problems.digits, "tokens": lambda: problems.tokens(options.quick)}
    for files in options.data:
        name = problems.name_of(files[0])
        if name in makers:
            raise ValueError(f"data: there are two problems {name!r}, called so by their files")
        makers[name] = lambda files=files: problems.from_files(*files)
    if not makers:
        raise ValueError("only-data is given, but no data")
    path = _results_path(options, "quality")
    earlier = stored.load(path) if options.resume else None

    about = {"machine": machine.describe()}

    def on_run(results, run):
        stored.save(path, about | results)
        if run["status"] == "ok" or (run["is_main"] and run["repetition"] == 0):  # tell only once what cannot be run
            print(_line(run), file=sys.stderr, flush=True)

    with _ended_in_order():
        results = compare.compare(makers.values(), systems, limits, earlier, on_run)
    stored.save(path, about | results)


@contextlib.contextmanager
def _ended_in_order():
    """Let `kill`, or a terminal that closes, end this process as Ctrl-C does: it ends its worker and removes its files."""

    def end(number, frame):
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()  # only this one may set handlers
    before = {number: signal.signal(number, end) for number in numbers if is_main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _limits(options):
    from fastsoftmax.runtime import memory, threads

    for name in ("limit_seconds", "max_memory"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name.replace('_', '-')} must be above 0 and finite, got {value:g}")
    if options.threads and options.threads > threads.n_cpus():
        raise ValueError(f"threads must be at most {threads.n_cpus()}, the CPUs of this process, got {options.threads}")
    return {
        "quick": options.quick,
        "repetitions": options.repetitions or (1 if options.quick else 3),
        "n_threads": options.threads or threads.n_cpus(),
        "limit_seconds": options.limit_seconds or (10 if options.quick else 600),
        "max_bytes": int(options.max_memory * 2**30 if options.max_memory else 0.8 * (memory.available() or 2**34)),
    }


def _line(run):
    budget = "" if run["budget"] is None else f" ({run['budget']})"
    head = f"{run['problem']:12} {run['system'] + budget:44}"
    if run["status"] != "ok":
        return f"{head} {run['status']}: {run['reason']}"
    metrics = run["metrics"]
    nll = "" if metrics["log_loss"] is None else f"  NLL {metrics['log_loss']:.3f}"
    return f"{head} {run['train_seconds']:8.2f} s  P@1 {100 * metrics['precision@1']:.1f}{nll}"


def _measure_curves(options):
    from . import curves, machine

    measured = curves.measure(options.quick, lambda text: print(text, file=sys.stderr))
    stored.save(_results_path(options, "curves"), {"machine": machine.describe()} | measured)


def _report(options):
    from . import report

    names = ("quality", "curves", "kernels")
    paths = {name: _results_path(options, name) for name in names}
    results = {name: stored.load(path) for name, path in paths.items()}
    if not any(results.values()):
        raise ValueError(f"output: no results in {options.output}")
    try:
        report.write(results, options.output)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"output: {options.output / 'results'} is not of this version: {error!r}") from error
    print(f"written: {options.output / 'report.html'}, {options.output / 'RESULTS.md'}")


def _peers(options):
    from .quality import environments

    if options.install is None:
        print("\n".join(environments.listing()))
        return 0
    for name in options.install:
        if name not in environments.REQUIREMENTS:
            raise ValueError(f"install: there are {', '.join(environments.REQUIREMENTS)}, got {name!r}")
    failed = environments.install(options.install or list(environments.REQUIREMENTS))
    return 1 if failed else 0


def _results_path(options, name):
    return options.output / "results" / f"{name}.json"


if __name__ == "__main__":
    sys.exit(main())
