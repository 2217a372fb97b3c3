"""The model's tables in Markdown."""

import math

from . import cluster, memory, work

SHARDS = (1, 8, 64)
BATCHES = (256, 1024, 4096, 16_384, 65_536)


def table(head, rows):
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def number(x):
    """Three digits."""
    if x == 0 or not math.isfinite(x):
        return f"{x:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    rounded = round(x, 2 - math.floor(math.log10(abs(x))))
    return f"{rounded:,.{digits}f}"


def size(n_bytes):
    """Bytes in the unit that suits them."""
    for unit in ("B", "KB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{number(n_bytes)} {unit}"
        n_bytes /= 1000
    return f"{number(n_bytes)} TB"


def duration(seconds):
    if seconds < 1e-3:
        return f"{number(1e6 * seconds)} µs"
    return f"{number(1e3 * seconds)} ms" if seconds < 1 else f"{number(seconds)} s"


def power(n):
    exponent = math.log10(n)
    return f"10^{exponent:.0f}" if exponent == round(exponent) and n >= 1000 else f"{n:,}"


def machine_line(m):
    return (
        f"{m.cores} cores, {number(m.flops / 1e9)} GFLOP/s (float32 products), {number(m.bytes / 1e9)} GB/s memory, "
        f"{number(m.lookups / 1e6)} million look-ups/s, {number(1e6 * m.step_seconds)} µs of overhead a step"
    )


def check_time(records):
    head = ["series", "classes", "predicted µs a row", "measured", "predicted / measured", "bound by"]
    rows = [
        [r["series"], power(r["x"]), number(r["predicted"]), number(r["measured"]), f"{r['ratio']:.2f}", r["bound"]]
        for r in records
    ]
    return table(head, rows)


def check_memory(records):
    head = [
        "series",
        "classes",
        "peak beyond the model, predicted",
        "measured",
        "predicted / measured",
        "model, predicted",
    ]
    head.append("measured")
    rows = []
    for r in records:
        both = [size(r["predicted"]), size(r["measured"]), f"{r['ratio']:.2f}"]
        rows.append([r["series"], power(r["x"]), *both, size(r["model_predicted"]), size(r["model_measured"])])
    return table(head, rows)


def work_table(s):
    """Flops and bytes of a row, way by way."""
    ways = {
        "full softmax, low rank": work.full,
        "sampled softmax, low rank": work.sampled,
        "exact on the support": work.support,
        "linear, dense weights": work.linear,
        "top k, low rank": work.top,
    }
    rows = []
    for name, phases in ways.items():
        t = work.total(phases(s))
        rows.append([name, *(number(x / s.batch) for x in (t.flops, t.bytes, t.lookups))])
    return table(
        [
            f"{power(s.n_classes)} classes, one machine, batch {s.batch:,}",
            "flops a row",
            "bytes a row",
            "look-ups a row",
        ],
        rows,
    )


def cluster_memory(s, n_machines, machine):
    """Of a low-rank model, by storage and number of machines."""
    counts = sorted({*SHARDS, n_machines})
    head = ["bytes of each machine", *(f"{n} machine{'s' * (n > 1)}" for n in counts)]
    rows = []
    for storage in cluster.memory_per_machine(s, 1):
        cells = [memory.total(cluster.memory_per_machine(s, n)[storage]) for n in counts]
        name = f"low rank, {storage}" + ("" if storage == cluster.TRAINING else ", to predict")
        rows.append([name, *(_fitting(n_bytes, machine) for n_bytes in cells)])
    cells = [memory.total(cluster.support_memory_per_machine(s, n)) for n in counts]
    rows.append(
        [
            f"on the support, {power(s.n_pairs)} pairs, float32, to train",
            *(_fitting(n_bytes, machine) for n_bytes in cells),
        ]
    )
    dense = [s.itemsize * 2 * math.ceil(s.n_classes / n) * (s.n_features + 1) for n in counts]
    rows.append(["linear, dense weights, float32, to train", *(_fitting(n_bytes, machine) for n_bytes in dense)])
    return table(head, rows)


def _fitting(n_bytes, machine):
    return size(n_bytes) + (" (too much)" if n_bytes > machine.ram else "")


def cluster_components(s, n_machines):
    parts = cluster.memory_per_machine(s, n_machines)[cluster.TRAINING]
    return table(
        [f"low rank, {cluster.TRAINING}", f"each of {n_machines} machines"],
        [[name, size(n)] for name, n in parts.items()],
    )


def cluster_time(s, n_machines, machine):
    head = [
        "way",
        "flops a row, of each machine",
        "computing, a batch",
        "received by a machine, a row",
        "network, a batch",
    ]
    head += ["rows/s", "bound by", "smallest batch that computes longer than it sends"]
    rows = []
    for way in cluster.WAYS:
        e = cluster.estimate(way, s, n_machines, machine)
        flops = work.total(cluster.phases(way, s, n_machines)).flops / s.batch
        least = cluster.least_batch(way, s, n_machines, machine)
        least = "-" if n_machines == 1 else "never" if least is None else f"{least:,}"
        row = [way, number(flops), duration(e.compute), size(e.received / s.batch), duration(e.network)]
        rows.append([*row, number(e.rows_per_second), e.bound, least])
    return table(head, rows)


def cluster_batches(s, n_machines, machine):
    """Rows a second over the size of the batch."""
    rows = []
    for way in cluster.WAYS:
        estimates = [cluster.estimate(way, s._replace(batch=batch), n_machines, machine) for batch in BATCHES]
        rows.append([way, *(f"{number(e.rows_per_second)}, {e.bound}" for e in estimates)])
    return table(["rows/s, bound by", *(f"batch {batch:,}" for batch in BATCHES)], rows)


def row_latency(s, n_machines, machine):
    counts = sorted({*SHARDS, n_machines})
    rows = [
        [storage, *(duration(cluster.row_seconds(s, n, machine, storage)) for n in counts)]
        for storage in ("float32", "bfloat16", "int8")
    ]
    return table([f"top {s.top_k} of a single row", *(f"{n} machine{'s' * (n > 1)}" for n in counts)], rows)


def cluster_traffic(s, n_machines):
    rows = [
        [way, what, size(n_bytes / s.batch)]
        for way in cluster.WAYS
        for what, n_bytes in cluster.traffic(way, s, n_machines).items()
    ]
    lines = table(["way", "what", "received by a machine, a row"], rows)
    return lines.replace("| --- | ---: | ---: |", "| --- | --- | ---: |")
