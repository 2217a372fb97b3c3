"""Prints the model's tables: what a large problem takes of many machines, and predicted over measured."""

import argparse
import contextlib
import json
import math
import textwrap
from pathlib import Path

from . import check, tables
from . import machine as machines
from .sizes import Sizes, checked

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
MAX_INTEGER = 10**18


def _number(text, what="a finite number"):
    """The types of options raise ArgumentTypeError: argparse puts the option's name before its text."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"not {what}: {text!r}")
    return value


def _integer(text, least=0):
    """1e8 as well as 100000000."""
    value = _number(text, "a whole number")
    if value != int(value):
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}")
    if not least <= value <= MAX_INTEGER:
        raise argparse.ArgumentTypeError(f"must be from {least} to {MAX_INTEGER:.0e}, got {text}")
    return int(value)


def _count(text):
    return _integer(text, least=1)


def _rate(text):
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def _wait(text):
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
    return value


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Without "(default: None)"."""

    def _get_help_string(self, action):
        return action.help if action.default is None else super()._get_help_string(action)


def _parser():
    parser = argparse.ArgumentParser(prog="fastsoftmax bench cost-model", description=__doc__, formatter_class=_Help)
    parser.add_argument(
        "--curves",
        type=Path,
        metavar="JSON",
        help="results/curves.json of `fastsoftmax bench curves`: what the model is checked against",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the Markdown there instead of printing it")
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="write it between the marks of this document, as in docs/cost_model.md",
    )
    problem, m = parser.add_argument_group("the large problem"), machines.COMMODITY
    machine = parser.add_argument_group("each machine")
    for group, name, kind, default, help in (
        (problem, "classes", _count, 10**8, "classes, on all machines together"),
        (problem, "machines", _count, 64, "machines that share the classes"),
        (problem, "features", _count, 10**6, "features"),
        (problem, "hidden", _count, 128, "size of the low-rank term"),
        (problem, "entries", _count, 15, "nonzero features of a row"),
        (problem, "batch", _count, 8192, "rows of a batch, on all machines together"),
        (problem, "negatives", _integer, 8192, "drawn for a batch, beside its targets"),
        (problem, "pairs", _count, 10**9, "weights of a sparse direct term: pairs / features of each feature"),
        (problem, "top", _count, 20, "best classes that a prediction returns"),
        (machine, "cores", _count, m.cores, "cores, each with a thread that looks up"),
        (machine, "gflops", _rate, m.flops / 1e9, "float32 products on all cores, GFLOP/s"),
        (machine, "gbytes", _rate, m.bytes / 1e9, "memory bandwidth, GB/s"),
        (machine, "ram", _rate, m.ram / 2**30, "memory, GiB"),
        (machine, "network", _rate, 8 * m.network / 1e9, "Gbit/s in each direction"),
        (machine, "latency", _wait, 1e6 * m.latency, "microseconds of a message"),
    ):
        group.add_argument(f"--{name}", type=kind, default=default, metavar="N", help=help)
    return parser


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        text = markdown(options)
        if options.document:
            with _naming("--document", options.document):
                options.document.write_text(inserted(options.document.read_text(), text))
        if options.output:
            with _naming("--output", options.output):
                options.output.write_text(text)
    except ValueError as error:  # of the user's numbers and files
        parser.error(str(error))
    if not (options.output or options.document):
        print(text, end="")


@contextlib.contextmanager
def _naming(option, path):
    """What is wrong with a file, after the names of the option and the file."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = getattr(error, "strerror", None) or error
        raise ValueError(f"argument {option}: {path}: {text}") from error


def inserted(document, text):
    """`document` with `text` between its marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{text}{END}{after}"


def markdown(o):
    parts = []
    if o.curves:
        with _naming("--curves", o.curves):
            parts.append(check_markdown(_json(o.curves)))
    sizes = checked(
        Sizes(
            n_classes=o.classes,
            n_features=o.features,
            hidden_size=o.hidden,
            entries=o.entries,
            batch=o.batch,
            negatives=o.negatives,
            classes_per_feature=max(1, o.pairs // max(1, o.features)),
            top_k=o.top,
        )
    )
    machine = machines.Machine(
        cores=o.cores,
        flops=1e9 * o.gflops,
        bytes=1e9 * o.gbytes,
        ram=o.ram * 2**30,
        network=1e9 * o.network / 8,
        latency=1e-6 * o.latency,
    )
    return "\n".join([*parts, cluster_markdown(sizes, o.machines, machines.checked(machine))]) + "\n"


def _json(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:  # no JSON, or no text at all
        raise ValueError(f"not JSON: {error}") from error


def check_markdown(curves):
    """Predicted over measured. The machine's rates come with the results."""
    curves = curves.get("curves", curves) if isinstance(curves, dict) else {}
    if not {"cost_over_classes", "memory_over_classes", "machine_rates"} <= curves.keys():
        raise ValueError(
            "not results of benches.curves: cost_over_classes, memory_over_classes or machine_rates is missing"
        )
    machine = machines.of_rates(curves["machine_rates"])
    return f"""## Predicted over measured

{_filled(f"Measured rates of the machine: {tables.machine_line(machine)}.")}

{tables.check_time(check.time_records(curves, machine))}

{tables.check_memory(check.memory_records(curves, machine.cores))}
"""


def _filled(text):
    return textwrap.fill(text, 127, break_long_words=False, break_on_hyphens=False)


def _assumed(s, m):
    return (
        f"Each machine: {tables.machine_line(m)}, {tables.number(m.ram / 2**30)} GiB, "
        f"{tables.number(8 * m.network / 1e9)} Gbit/s, {tables.number(1e6 * m.latency)} µs a message. "
        f"D = {s.n_features:,} features, e = {s.entries} a row, c = {s.classes_per_feature:,} classes of a feature on the "
        f"support, hidden size d = {s.hidden_size}; batches of B = {s.batch:,} rows with S = {s.negatives:,} negatives: "
        f"C = {s.candidates:,.0f} different candidates, u(B e) = {s.batch_features:,.0f} different features."
    )


def cluster_markdown(s, n_machines, machine):
    return f"""## {tables.power(s.n_classes)} classes on {n_machines} machines

{_filled(_assumed(s, machine))}

{tables.cluster_memory(s, n_machines, machine)}

{tables.cluster_components(s, n_machines)}

{tables.cluster_time(s, n_machines, machine)}

{tables.cluster_batches(s, n_machines, machine)}

{tables.row_latency(s, n_machines, machine)}

On one machine, without a network:

{tables.cluster_time(s, 1, machine)}

{tables.cluster_traffic(s, n_machines)}

{tables.work_table(s)}
"""
