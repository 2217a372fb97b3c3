"""The kernels: a table for each family, the picture of speed-ups, and the goals that were not reached."""

from ..kernels.case import OURS
from ..kernels.measure import best, judge
from . import speedups
from .document import BREAK, Cell, Heading, Paragraph, Picture, Table, prose, strong

TITLES = {
    "rowwise": "Row-wise functions",
    "dense": "Dense head (rows x classes x features)",
    "csr": "CSR input, linear model (rows x features x classes x entries a row)",
    "sampled": "Sampled step (low rank 128, 1,024 shared negatives, batch 512, 15 entries a row, 100,000 features)",
    "serving": "Single rows and small batches (50,000 features; a sparse term has 40 classes a feature, rows have 20 entries; "
    "low rank 128)",
    "support": "Sparse W (256 rows of 20 entries, 10,000 features of 100 classes each: 512,000 pairs a step)",
    "screen": "The 20 best of ten million classes, screened in 8 bits",
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
    "serving": "A predictor, and PreparedWeights, keep what does not depend on rows. Limit: `read` is reading V in float32 "
    "once, by one thread (`numpy.max`).",
    "screen": "Weights without any structure, which are a screen's worst case. The log-sum-exp is estimated.",
    "support": "A step is loss, gradient and update of the pairs (feature of a row, class) in place. With a dense W the "
    "same loss and gradient are computed by the kernels for CSR input; they cannot do more classes.",
    "sampled": "A step draws its negatives, reads its batch and ends with row-wise Adagrad of what it touched. torch's is "
    "written by hand without autograd. Limit: three GEMMs of 512 x 1,536 candidates x 128.",
}
NOTE = (
    "Medians of rounds in which all implementations take turns in one process; every implementation's result was compared "
    "with fastsoftmax's before it was timed. A ratio is the peer's time over ours: above 1, fastsoftmax is faster. Memory is "
    "the peak of resident memory during the first call, beyond what was there before it and the results it returns (read "
    "from the kernel's high-water mark, reset before the call; it is coarse by some MiB). The tables say `-` where a peer "
    "does not do the problem, and why one was left out. What was asked are the figures that were set as goals, with what was "
    "measured: ✓ reached, ✗ missed."
)


def _time(seconds):
    return (
        f"{1e6 * seconds:.1f} µs"
        if seconds < 1e-3
        else f"{1e3 * seconds:.3g} ms"
        if seconds < 0.1
        else f"{1e3 * seconds:.0f} ms"
    )


def _peer(record, name):
    if name not in record["seconds"]:
        return record["skipped"].get(name, "-")
    seconds = record["seconds"][name]
    ratio = f"{seconds / record['seconds'][OURS]:.2f}×"
    return Cell([f"{_time(seconds)} (", strong(ratio) if name == best(record)[0] else ratio, ")"], seconds)


def _limits(record):
    ours = record["seconds"][OURS]
    return "; ".join(f"{name} {_time(s)} ({ours / s:.2f}×)" for name, s in record["limits"].items()) or "-"


def _memory(record):
    def mib(name):
        peak = record["peaks"][name]
        return "?" if peak is None else f"{peak / 2**20:.0f}"

    return mib(OURS) + (f" / {mib(best(record)[0])}" if best(record) else "")


def _asked(record, records):
    lines = []
    for asked, value, met in judge(record, records):
        lines += [BREAK, f"{asked}: {value} {'✓' if met else '✗'}"]
    return lines[1:] or "-"


def table(family, records):
    """Make the table of a family's records."""
    peers = list(dict.fromkeys(n for r in records for n in [*r["seconds"], *r["skipped"]] if n != OURS))
    header = ["problem", "shape", "dtype", OURS, *peers, "limit (ours over it)", "peak MiB, ours / best peer", "asked"]
    rows = []
    for r in records:
        ours = Cell(_time(r["seconds"][OURS]), r["seconds"][OURS])
        peer_cells = [_peer(r, name) for name in peers]
        rows.append(
            [r["problem"], r["shape"], r["dtype"], ours, *peer_cells, _limits(r), _memory(r), _asked(r, records)]
        )
    return Table(TITLES[family], header, rows)


def section(kernels):
    """Yield the parts of the report about {"families": {name: records}}."""
    families = kernels["families"]
    yield Heading("Kernels")
    yield Paragraph(prose(NOTE))
    picture = Picture(
        "speedups",
        "Bars: how many times faster than the best peer fastsoftmax is, problem by problem",
        "How many times faster than the best peer, problem by problem (float32), beside what the measured limits would give.",
        lambda save: speedups.draw(families, save),
        suffix="png",
    )
    if speedups.are_any(families):
        yield picture
    for family, records in families.items():
        yield Heading(TITLES[family], 3)
        yield Paragraph(prose(NOTES[family]))
        yield table(family, records)


def misses(kernels):
    """Yield a sentence for each goal that was not reached."""
    for records in kernels["families"].values():
        for r in records:
            for asked, value, met in judge(r, records):
                if not met:
                    yield f"{r['problem']}, {r['shape']}: asked {asked}, measured {value}"
