"""benches/RESULTS.md from the records: the machine, and one table a family."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from fastsoftmax import _rowops, _threads

from . import limits, timing
from .case import OURS
from .measure import best, judge

PACKAGES = ["fastsoftmax", "numpy", "scipy", "scikit-learn", "torch"]
TITLES = {
    "rowwise": "Row-wise functions",
    "dense": "Dense head (rows x classes x features)",
    "csr": "CSR input, linear model (rows x features x classes x entries a row)",
    "sampled": "Sampled step (low rank 128, 1,024 shared negatives, batch 512, 15 entries a row, 100,000 features)",
    "support": "Sparse W (256 rows of 20 entries, 10,000 features of 100 classes each: 512,000 pairs a step)",
}
NOTES = {
    "rowwise": "Limits, by as many threads: `read` is the largest element of the input (`numpy.max`), `copy` a copy of it. "
    "torch and fastsoftmax write softmax and log_softmax into outputs that are there; cross_entropy's time is that of loss "
    "and gradient.",
    "dense": "Limit: the matrix products alone, by NumPy's or torch's GEMM, whichever is faster at the size. The step is "
    "loss, gradients and Adagrad (one sum an element) of W and bias in place; torch's is its loss, backward and "
    "`torch.optim.Adagrad(fused=True)`. `torch.nn.functional.linear_cross_entropy` without options is "
    "`cross_entropy(linear(X, W))`.",
    "csr": "Limits: `GEMMs` are two dense products of as many multiply-adds as the entries take, `copy` reads the weights of "
    "the features that occur and writes as much: the least traffic that a gradient or a step can have.",
    "support": "A step is loss, gradient and update of the pairs (feature of a row, class) in place. With a dense W the "
    "same loss and gradient are computed by the kernels for CSR input; they cannot do more classes.",
    "sampled": "A step draws its negatives, reads its batch and ends with row-wise Adagrad of what it touched. torch's is "
    "written by hand without autograd. Limit: three GEMMs of 512 x 1,536 candidates x 128.",
}
HEAD = """# Benchmarks: results

Written by `python -m benches`. Medians of rounds in which all implementations take turns in one process; every
implementation's result was compared with fastsoftmax's before it was timed. A ratio is the peer's time over ours: above 1,
fastsoftmax is faster. Memory is the peak of resident memory during the first call, beyond what was there before it and the
results it returns (read from the kernel's high-water mark, reset before the call; it is coarse by some MiB). The tables
say "-" where a peer does not do the problem, and why one was left out. "Asked" are the figures that were set as
goals, with what was measured: ✓ reached, ✗ missed.
"""


def _cpu():
    fields = {}
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            fields[name.strip()] = value.strip()
    name = fields.get("model name") or platform.processor() or platform.machine()
    return f"{name}, family {fields['cpu family']}, model {fields['model']}" if "cpu family" in fields else name


def _caches():
    out = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            out.append(f"L{level} {int(size[:-1])} KiB" if size.endswith("K") else f"L{level} {size}")
    return ", ".join(out) or "unknown"


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def machine():
    """What the results were measured on, as (name, value) pairs."""
    a, A, B = np.ones(1 << 26, "f"), np.ones((3072, 3072), "f"), np.ones((3072, 3072), "f")
    calls = {"read": limits.read(a), "copy": limits.copy(a), "gemm": limits.products(A, B)}
    fastest = {name: min(s) for name, s in timing.interleaved(calls, 2.0).items()}
    import fastsoftmax

    versions = [f"{name} {fastsoftmax.__version__ if name == 'fastsoftmax' else _version(name)}" for name in PACKAGES]
    return [
        ("CPU", _cpu()),
        ("instruction set in use", _rowops.selected()),
        ("threads", str(_threads.resolve(None))),
        ("caches of a core (L3 shared)", _caches()),
        ("reading memory", f"{a.nbytes / fastest['read'] / 1e9:.1f} GB/s"),
        ("copying memory, read and write counted", f"{2 * a.nbytes / fastest['copy'] / 1e9:.1f} GB/s"),
        ("float32 GEMM", f"{2 * 3072**3 / fastest['gemm'] / 1e9:.0f} GFLOP/s"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(versions)),
    ]


def _time(seconds):
    return (
        f"{1e6 * seconds:.1f} µs"
        if seconds < 1e-3
        else f"{1e3 * seconds:.3g} ms"
        if seconds < 0.1
        else f"{1e3 * seconds:.0f} ms"
    )


def _peer(record, name):
    if name in record["seconds"]:
        seconds = record["seconds"][name]
        ratio = f"{seconds / record['seconds'][OURS]:.2f}×"
        return f"{_time(seconds)} ({f'**{ratio}**' if name == best(record)[0] else ratio})"
    return record["skipped"].get(name, "-")


def _limits(record):
    ours = record["seconds"][OURS]
    return "; ".join(f"{name} {_time(s)} ({ours / s:.2f}×)" for name, s in record["limits"].items()) or "-"


def _memory(record):
    def mib(name):
        peak = record["peaks"][name]
        return "?" if peak is None else f"{peak / 2**20:.0f}"

    return mib(OURS) + (f" / {mib(best(record)[0])}" if best(record) else "")


def _asked(record, records):
    judged = judge(record, records)
    return "<br>".join(f"{asked}: {value} {'✓' if met else '✗'}" for asked, value, met in judged) or "-"


def table(records):
    """The Markdown table of the records of one family."""
    peers = list(dict.fromkeys(n for r in records for n in [*r["seconds"], *r["skipped"]] if n != OURS))
    head = ["problem", "shape", "dtype", OURS, *peers, "limit (ours over it)", "peak MiB, ours / best peer", "asked"]
    rows = [head, ["---"] * len(head)]
    for r in records:
        peer_cells = [_peer(r, name) for name in peers]
        ours = _time(r["seconds"][OURS])
        rows.append(
            [r["problem"], r["shape"], r["dtype"], ours, *peer_cells, _limits(r), _memory(r), _asked(r, records)]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def markdown(results):
    """The whole of RESULTS.md from {"machine": pairs, "families": name -> records}."""
    parts = [HEAD, *(f"- {name}: {value}" for name, value in results["machine"])]
    families = results["families"]
    misses = [
        f"- {r['problem']}, {r['shape']}: asked {asked}, measured {value}"
        for records in families.values()
        for r in records
        for asked, value, met in judge(r, records)
        if not met
    ]
    for family, records in families.items():
        parts += [f"\n## {TITLES[family]}", NOTES[family], "", table(records)]
    return "\n".join([*parts, "\n## Not reached", *(misses or ["- nothing"]), ""])
