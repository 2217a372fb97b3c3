"""Print the tables of docs/cost_model.md, which explains the formulas and their symbols.

    python -m benches.studies.cost_model

Most tables assume the problem LARGE and the machine SERVER: change them here. The first table compares the formulas with what
`fastsoftmax bench curves` measured, as benches/results/curves.json has it. A phase of the work is (flops, bytes, look-ups).
"""

import json
from collections import namedtuple
from math import ceil, floor, log2, log10
from pathlib import Path

import numpy as np

from fastsoftmax.passes.pairs import PAIRED_FROM
from fastsoftmax.runtime.workspaces import WORKING_MEMORY

# a second: flops of products, bytes of memory, bytes of network; seconds: of a step that does nothing, of a message
CURVES = Path(__file__).parents[1] / "results" / "curves.json"
Machine = namedtuple("Machine", "cores flops bytes step_seconds network latency", defaults=(25e9 / 8, 30e-6))
SERVER = Machine(cores=16, flops=1e12, bytes=100e9, step_seconds=100e-6)
Sizes = namedtuple("Sizes", "K D d e B S c k")
LARGE = Sizes(K=10**8, D=10**6, d=128, e=15, B=8192, S=8192, c=1000, k=20)
MACHINES, BATCHES = (1, 8, 64), (256, 1024, 4096, 16_384, 65_536)
EXP = 16  # flops of a logit's exponential, maximum and sum
LIMITS = "flops", "memory bandwidth", "look-ups"


def different(n_items, n_draws, n_flat_draws=0):
    """The expected number of different items in draws with p_j ~ 1 / j and further ones with q_j ~ 1 / j^0.75."""
    edges = np.arange(1, n_items + 2)
    if n_items > 4000:  # sum over intervals that grow geometrically
        edges = np.unique(np.round(np.geomspace(1, n_items + 1, 4001)).astype(np.int64))
    counts, middles = np.diff(edges), (edges[:-1] + edges[1:] - 1) / 2
    p, q = middles**-1.0, middles**-0.75
    return float(counts @ -np.expm1(-n_draws * p / (counts @ p) - n_flat_draws * q / (counts @ q)))


# -- the phases of a batch of each way, on each of M machines that share the classes --


def embed(s, M=1):
    own_rows = ceil(s.B / M)
    return 2 * own_rows * s.e * s.d, 4 * different(s.D, own_rows * s.e) * s.d + 8 * own_rows * s.e, 0


def embedding_step(s):
    return 2 * s.B * s.e * s.d, 8 * different(s.D, s.B * s.e) * (s.d + 1) + 8 * s.B * s.e, 0


def two_passes(n_logits, width, read, flops_back, bytes_back):
    """Logits of `width` products each, then gradients and step; exponentials that were not kept are computed again."""
    kept, flops = min(n_logits, WORKING_MEMORY // 4), 2 * width + EXP
    logits, again = (n_logits * flops, read + 4 * kept, 0), n_logits - kept
    return [logits, (flops_back, bytes_back + 4 * kept, 0), (again * flops, again / n_logits * read, 0)]


def head(s, n):
    read = 4 * n * (s.d + 1)
    return two_passes(s.B * n, s.d, read, 4 * s.B * n * s.d + 8 * n * s.d, 2 * read + 16 * n)


def full(s, M=1):
    return [embed(s, M), *head(s, ceil(s.K / M)), embedding_step(s)]


def sampled(s, M=1):
    return [(0, 128 * s.S, s.S), embed(s, M), *head(s, different(s.K, s.B, s.S) / M), embedding_step(s)]


def support(s, M=1):
    n, lookups, features = s.B * s.e * s.c, s.B * s.e, different(s.D, s.B * s.e)
    touched = 18 * n, features * s.c * (16 if s.K > PAIRED_FROM else 8) + 12 * n, n
    gradients = 2 * n + 8 * features * s.c, 8 * n + 16 * features * s.c, 0
    own = np.array([touched, (EXP * n, 8 * n, 0), gradients]) / M
    return [*own, (0, 64 * min(lookups, features), lookups)] if M > 1 else own  # every machine looks up all features


def linear(s):
    n, features = s.B * s.K, different(s.D, s.B * s.e)
    return two_passes(n, s.e, 4 * features * s.K, 2 * n * s.e + 8 * features * s.K, 16 * features * s.K)


def top(s, M=1):
    K = ceil(s.K / M)
    n_reads = ceil(s.B / min(max(2**29 // K, 64), 1024))
    return [embed(s, M), (s.B * K * (2 * s.d + EXP), 4 * n_reads * K * (s.d + 1), 0)]


WAYS = {"full softmax": full, "sampled softmax": sampled, "exact on the support": support, "top 20": top}
MEASURED = {"full softmax, low rank": full, "sampled softmax, low rank": sampled, "exact on the support": support}
MEASURED |= {"linear, dense weights": linear, "top 20, low rank": top}


def computing(phases, m):
    """Seconds of phases that follow each other, each limited by what it needs most, and what limits most of the time."""
    needs = np.array(phases) / (m.flops, m.bytes, m.cores / 9e-9)  # 9 ns of a thread are a look-up
    limits = np.bincount(needs.argmax(1), needs.max(1), minlength=3)
    return m.step_seconds + limits.sum(), LIMITS[limits.argmax()]


def sending(way, s, M, m):
    """Seconds that a machine receives bytes, and that it waits for messages."""
    rows, vectors, sums = 8 * s.e + 8, 4 * s.d, 2 * 16
    n_bytes, n_messages = rows + 3 * vectors + sums, 6
    if way in (support, top):
        n_bytes, n_messages = (rows + sums, 3) if way is support else (vectors + 12 * s.k + 16, 2)
    return s.B * n_bytes * (M - 1) / M / m.network, n_messages * ceil(log2(M)) * m.latency


def batch(way, s, M, m):
    """Seconds of computing and of sending, and what limits the batch."""
    (compute, limit), (receive, wait) = computing(way(s, M), m), sending(way, s, M, m)
    if receive + wait > compute:
        limit = "network bandwidth" if receive > wait else "network latency"
    return compute, receive + wait, limit


def memory(s, M):
    """Bytes of each of M machines, by what it stores."""
    K, pairs = ceil(s.K / M), ceil(s.D * s.c / M)
    rows = K + s.D  # of V and E
    out = {"low rank, to train by sampled softmax": 4 * rows * (s.d + 1) + 8 * K + 24 * s.K}
    for name, vector in (("float32", 4 * s.d), ("bfloat16", 2 * s.d), ("int8", s.d + 4)):
        out[f"low rank, {name}, to predict"] = rows * vector + 4 * K
    out["sparse direct term, to train"] = 20 * pairs + (8 if pairs >= 2**31 else 4) * (s.D + 1) + 12 * K
    return out | {"dense direct term, to train": 8 * K * (s.D + 1)}


# -- the tables, in Markdown --


def number(x, *units):
    """Three digits, in the unit that suits them."""
    while x >= 1000 and units[1:]:
        x, units = x / 1000, units[1:]
    digits = 2 - floor(log10(x)) if x else 0
    return " ".join([f"{round(x, digits):,.{max(0, digits)}f}", *units[:1]])


def table(head, rows):
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---", *["---:"] * len(head[1:])], *rows))


def compared(curves):
    rates, p = curves["machine_rates"], curves["problem"]
    m = Machine(rates["cores"], rates["flops_per_second"], rates["bytes_per_second"], rates["smallest_step_seconds"])
    names = "n_features", "hidden_size", "entries_a_row", "batch_size", "n_negatives", "classes_per_feature", "top_k"
    rows = {name: {} for name in MEASURED}
    for point in curves["cost_over_classes"]:
        if (name := point["series"]) in rows:
            phases = MEASURED[name](Sizes(point["x"], *(p[n] for n in names)))
            predicted = 1e6 * computing(phases, m)[0] / p["batch_size"]
            rows[name][point["x"]] = f"{number(predicted)} / {number(point['y'])}"
    places = list(next(iter(rows.values())))
    head = ["µs a row, predicted / measured", *(f"K = {K:,}" for K in places)]
    return table(head, [[name, *(row.get(K, "-") for K in places)] for name, row in rows.items()])


def shared(s, m):
    stored, n = [memory(s, M) for M in MACHINES], MACHINES[-1]
    rows = [[what, *(number(of[what], "B", "KB", "MB", "GB", "TB") for of in stored)] for what in stored[0]]
    yield table(["bytes of each machine", *(f"M = {M}" for M in MACHINES)], rows)
    rows, over_batches = [], []
    for name, way in WAYS.items():
        *seconds, limit = batch(way, s, n, m)
        speeds = [s.B / sum(seconds), s.B / batch(way, s, 1, m)[0]]
        rows.append([name, *(number(1e6 * t, "µs", "ms", "s") for t in seconds), *map(number, speeds), limit])
        found = {B: batch(way, s._replace(B=B), n, m) for B in BATCHES}
        over_batches.append([name, *(f"{number(B / sum(t))}, {limit}" for B, (*t, limit) in found.items())])
    yield table(["a batch", "computing", "sending", "rows a second", "with M = 1", "limited by"], rows)
    yield table(["rows a second, limited by", *(f"B = {B:,}" for B in BATCHES)], over_batches)


if __name__ == "__main__":
    print(compared(json.loads(CURVES.read_text())), *shared(LARGE, SERVER), sep="\n", end="")
