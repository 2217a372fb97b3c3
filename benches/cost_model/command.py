"""Prints the model's tables: what a large problem takes of many machines, and predicted over measured."""

import argparse
import json
from pathlib import Path

from . import check, tables
from . import machine as machines
from .sizes import Sizes, checked

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def _integer(text):
    """1e8 as well as 100000000."""
    value = float(text)
    if value != int(value) or value < 0:
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}")
    return int(value)


def _parser():
    parser = argparse.ArgumentParser(prog="fastsoftmax bench cost-model", description=__doc__)
    parser.add_argument(
        "--curves", type=Path, help="results of the measured curves, JSON: what the model is checked against"
    )
    parser.add_argument("--output", type=Path, help="write the Markdown there instead of printing it")
    parser.add_argument(
        "--document", type=Path, help="write it between the marks of this document, as of docs/cost_model.md"
    )
    problem = parser.add_argument_group("the large problem")
    problem.add_argument("--classes", type=_integer, default=10**8)
    problem.add_argument("--machines", type=_integer, default=64)
    problem.add_argument("--features", type=_integer, default=10**6)
    problem.add_argument("--hidden", type=_integer, default=128, help="size of the low-rank term")
    problem.add_argument("--entries", type=_integer, default=15, help="nonzero features of a row")
    problem.add_argument("--batch", type=_integer, default=8192, help="rows, on all machines together")
    problem.add_argument("--negatives", type=_integer, default=8192, help="drawn for a batch, beside its targets")
    problem.add_argument("--pairs", type=_integer, default=10**9, help="weights of a sparse direct term")
    problem.add_argument("--top", type=_integer, default=20)
    m, group = machines.COMMODITY, parser.add_argument_group("each machine")
    group.add_argument("--cores", type=_integer, default=m.cores)
    group.add_argument("--gflops", type=float, default=m.flops / 1e9, help="float32 products, all cores")
    group.add_argument("--gbytes", type=float, default=m.bytes / 1e9, help="memory, GB/s")
    group.add_argument("--ram", type=float, default=m.ram / 2**30, help="GiB")
    group.add_argument("--network", type=float, default=8 * m.network / 1e9, help="Gbit/s")
    group.add_argument("--latency", type=float, default=1e6 * m.latency, help="microseconds of a message")
    return parser


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        text = markdown(options)
        if options.document:
            options.document.write_text(inserted(options.document.read_text(), text))
        if options.output:
            options.output.write_text(text)
    except (ValueError, OSError) as error:  # of the user's numbers and files
        parser.error(str(error))
    if not (options.output or options.document):
        print(text, end="")


def inserted(document, text):
    """`document` with `text` between its marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{text}{END}{after}"


def markdown(o):
    parts = []
    if o.curves:
        parts.append(check_markdown(json.loads(o.curves.read_text())))
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


def check_markdown(curves):
    """Predicted over measured. The machine's rates come with the results."""
    curves = curves.get("curves", curves) if isinstance(curves, dict) else {}
    if not {"cost_over_classes", "memory_over_classes", "machine_rates"} <= curves.keys():
        raise ValueError(
            "not results of benches.curves: cost_over_classes, memory_over_classes or machine_rates is missing"
        )
    machine = machines.of_rates(curves["machine_rates"])
    return f"""## Predicted over measured

Measured rates of the machine: {tables.machine_line(machine)}.

{tables.check_time(check.time_records(curves, machine))}

{tables.check_memory(check.memory_records(curves, machine.cores))}
"""


def cluster_markdown(s, n_machines, machine):
    return f"""## {tables.power(s.n_classes)} classes on {n_machines} machines

Each machine: {tables.machine_line(machine)}, {tables.number(machine.ram / 2**30)} GiB,
{tables.number(8 * machine.network / 1e9)} Gbit/s, {tables.number(1e6 * machine.latency)} µs a message.
{s.n_features:,} features, {s.entries} a row, hidden size {s.hidden_size}; batches of {s.batch:,} rows,
{s.negatives:,} negatives a batch.

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
