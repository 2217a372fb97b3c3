"""Classes sharded over machines, on paper: the library runs on one machine.

Each of M machines has K / M classes with their state. E is on all of them: each applies the same step to it, from the same
sums, so replicas stay the same to the bit. A batch of B rows:

1. each machine embeds B / M rows; all gather the hidden vectors;
2. each goes through its own classes; (max, sum, the target's logit) of each row are merged over the machines;
3. each computes its part of dh and steps its own classes; the parts of dh are summed for all;
4. each steps E.

Candidates of sampled softmax are drawn everywhere by the same generator and each scored by the machine that has it. A sparse
direct term is sharded by class as well: rows go everywhere, partial sums of Z(x) are merged. Predictions merge each
shard's best k. Collectives are by rings or halving: a machine receives (M - 1) / M of the result, twice that where
sums are needed by all.
"""

import math
from typing import NamedTuple

from . import machine as machines
from . import memory, work

FULL, SAMPLED, SUPPORT, TOP = "full softmax", "sampled softmax", "exact on the support", "top k"
WAYS = (FULL, SAMPLED, SUPPORT, TOP)
ROW_STATS = 4 + 8 + 4  # bytes of a row's maximum, sum of exponentials and target's logit
ENTRY, LABEL, CANDIDATE = 8, 8, 8 + 4  # bytes of a CSR entry, a label, and a class id with its logit
MAX_BATCH = 1 << 24
TRAINING = "float32, to train by sampled softmax"


class Estimate(NamedTuple):
    """Of a batch."""

    way: str
    batch: int
    compute: float  # seconds
    network: float
    received: float  # bytes, by each machine
    bound: str

    @property
    def rows_per_second(self):
        """Without overlap of computing and sending."""
        return self.batch / (self.compute + self.network)


def shard(sizes, n_machines):
    """The classes of one machine; of a sparse direct term so many of each feature, on the average."""
    if n_machines < 1:
        raise ValueError(f"there must be at least 1 machine, got {n_machines}")
    return sizes._replace(n_classes=math.ceil(sizes.n_classes / n_machines))


def memory_per_machine(sizes, n_machines):
    """storage -> bytes by component, of a low-rank model: `TRAINING`, or to predict."""
    s = shard(sizes, n_machines)
    # all draw the same negatives, each from the table of all classes
    training = memory.model(s) | {"sampler, of all classes": memory.sampler("unigram", sizes.n_classes)}
    return {TRAINING: training, "float32": memory.weights(s)} | {
        storage: memory.compressed(s, storage) for storage in ("bfloat16", "int8")
    }


def support_memory_per_machine(sizes, n_machines):
    """Of a sparse direct term alone, to train: its share of the pairs, and its classes' biases. Beside the model that is the
    (bias, exponential) of each class and of each pair, which grow with it too."""
    s, n_pairs = shard(sizes, n_machines), math.ceil(sizes.n_pairs / n_machines)
    return {
        "class ids": 4 * n_pairs,
        "weights": s.itemsize * n_pairs,
        "state": s.itemsize * n_pairs,
        "biases, exponentials beside the pairs": 2 * s.itemsize * n_pairs,
        "where each feature's pairs begin": (8 if n_pairs >= 2**31 else 4) * (s.n_features + 1),
        "bias; biases, exponentials of the classes": 3 * s.itemsize * s.n_classes,
    }


def phases(way, s, n_machines, storage="float32"):
    """The work of one machine for a batch; `storage` is that of the weights which `TOP` reads."""
    shares = shard(s, n_machines)
    if way == SUPPORT:
        return _support_share(s, n_machines)
    own_rows = s._replace(batch=math.ceil(s.batch / n_machines))
    if way == TOP:
        return [work.embed(own_rows, storage), *work.top(shares, storage)[1:]]
    embed = work.embed(own_rows)
    if way == FULL:
        return [embed, *work.head(s, shares.n_classes), work.embed_step(s)]
    return [work.draw(s), embed, *work.head(s, s.candidates / n_machines), work.embed_step(s)]


def _support_share(s, n_machines):
    """Each machine looks up all features of all rows, and has 1 / M of their pairs."""
    n_lookups = s.batch * s.entries
    found = [work.Phase(p.name, *(x / n_machines for x in p[1:])) for p in work.support(s)]
    return [work.Phase("lists of the features", 0.0, 64 * min(n_lookups, s.batch_features), n_lookups), *found]


def traffic(way, s, n_machines):
    """Bytes that each machine receives for a batch, by what they are."""
    share = (n_machines - 1) / n_machines
    vectors, stats = 4 * s.batch * s.hidden_size, ROW_STATS * s.batch
    if way == SUPPORT:
        rows = s.batch * (ENTRY * s.entries + LABEL)
        return {"rows": rows * share, "partial sums of Z(x), targets": 2 * stats * share}
    parts = {"hidden vectors": vectors * share}
    if way == TOP:
        best = s.batch * (s.top_k * CANDIDATE + ROW_STATS)  # to the machine whose row it is, from all others
        return parts | {"each shard's best": best * share}
    rows = s.batch * (ENTRY * s.entries + LABEL)  # of the step of E, which all make
    sums = {"max, sum, target": 2 * stats * share, "dh, summed": 2 * vectors * share}
    return parts | {"rows": rows * share} | sums


def messages(way, n_machines):
    """One after the other, of a batch: a gather takes log2 M, a sum for all twice that; those of `traffic`, in its order."""
    rounds = math.ceil(math.log2(n_machines)) if n_machines > 1 else 0
    return rounds * {FULL: 1 + 1 + 2 + 2, SAMPLED: 1 + 1 + 2 + 2, SUPPORT: 1 + 2, TOP: 1 + 1}[way]


def estimate(way, s, n_machines, machine, storage="float32"):
    """ValueError for a `way` that is none of WAYS."""
    if way not in WAYS:
        raise ValueError(f"way must be one of {WAYS}, got {way!r}")
    done = phases(way, s, n_machines, storage)
    compute = machines.seconds(done, machine)
    received = sum(traffic(way, s, n_machines).values())
    sending, waiting = received / machine.network, machine.latency * messages(way, n_machines)
    network = sending + waiting
    bound = machines.bound(done, machine)
    if network > compute:
        bound = "network bandwidth" if sending > waiting else "network latency"
    return Estimate(way, s.batch, compute, network, received, bound)


def least_batch(way, s, n_machines, machine):
    """The smallest power of two of rows whose network time is below their computing time; None up to MAX_BATCH."""
    batch = 1
    while batch <= MAX_BATCH:
        e = estimate(way, s._replace(batch=batch), n_machines, machine)
        if e.network < e.compute:
            return batch
        batch *= 2
    return None


def row_seconds(s, n_machines, machine, storage):
    """Until the best classes of a single row are there, from class weights in float32 or in few bits."""
    e = estimate(TOP, s._replace(batch=1), n_machines, machine, storage)
    return e.compute + e.network
