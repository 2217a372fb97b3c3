"""Flops, bytes moved to or from memory, and look-ups of each phase of a batch.

What stays in a cache between two uses moves once: tiles of logits, the hidden layer, a tile's class weights. A logit's
exponential, maximum and sum count as ELEMENT flops, as they do where the library divides its work.
"""

from typing import NamedTuple

from fastsoftmax.passes.pairs import PAIRED_FROM
from fastsoftmax.runtime.workspaces import WORKING_MEMORY

from . import memory

ELEMENT = 16


class Phase(NamedTuple):
    name: str
    flops: float
    bytes: float
    lookups: float = 0.0  # of a class in a hash or direct map, with all that a pair takes beside


def total(phases):
    return Phase("total", *(sum(getattr(p, name) for p in phases) for name in Phase._fields[1:]))


def embed(s, storage="float32"):
    """h = x E: the rows of the batch's features, each read once."""
    n_entries = s.batch * s.entries
    n_bytes = 8 * n_entries + s.batch_features * memory.vector(s, storage)
    return Phase("h = x E", 2 * n_entries * s.hidden_size, n_bytes)


def embed_step(s):
    """E and its state, one number a row: read and written."""
    n_entries = s.batch * s.entries
    n_bytes = 8 * n_entries + 2 * s.itemsize * s.batch_features * (s.hidden_size + 1)
    return Phase("step of E", 2 * n_entries * s.hidden_size, n_bytes)


def head(s, n_classes, working_memory=WORKING_MEMORY):
    """Both passes over `n_classes` class weights: 3 products of B x n_classes x d; exponentials kept as far as they go."""
    d, n_logits = s.hidden_size, s.batch * n_classes
    kept = min(n_logits, working_memory // s.itemsize)
    read = s.itemsize * n_classes * (d + 1)  # V and bias
    phases = [
        Phase("logits, exponentials", n_logits * (2 * d + ELEMENT), read + s.itemsize * kept),
        Phase(
            "gradients, step of V",
            4 * n_logits * d + 8 * n_classes * d,
            2 * read + 4 * s.itemsize * n_classes + s.itemsize * kept,  # the states of V and bias are a number a class
        ),
    ]
    if kept < n_logits:
        again, share = n_logits - kept, 1 - kept / n_logits
        phases.append(Phase("logits not kept, again", again * (2 * d + ELEMENT), share * read))
    return phases


def full(s, working_memory=WORKING_MEMORY):
    """A training step of a low-rank model over all classes."""
    return [embed(s), *head(s, s.n_classes, working_memory), embed_step(s)]


def draw(s):
    """The negatives: a cache line of the alias table and one of the probabilities for each."""
    return Phase("draw", 0.0, 2 * 64 * s.negatives, s.negatives)


def sampled(s):
    """A training step over S negatives and the batch's targets: drawn, then as over all classes."""
    return [draw(s), embed(s), *head(s, s.candidates), embed_step(s)]


def linear(s, working_memory=WORKING_MEMORY):
    """A training step of dense feature-major W on CSR rows: all classes of the batch's features, state an element."""
    n_logits, weights = s.batch * s.n_classes, s.itemsize * s.batch_features * s.n_classes
    kept = min(n_logits, working_memory // s.itemsize)
    phases = [
        Phase("logits, exponentials", n_logits * (2 * s.entries + ELEMENT), weights + s.itemsize * kept),
        Phase(
            "gradients, step of W",
            2 * n_logits * s.entries + 8 * s.batch_features * s.n_classes,
            4 * weights + s.itemsize * kept,  # W and its state, read and written
        ),
    ]
    if kept < n_logits:
        again, share = n_logits - kept, 1 - kept / n_logits
        phases.append(Phase("logits not kept, again", again * (2 * s.entries + ELEMENT), share * weights))
    return phases


def _touch(s, writes):
    n, biases = s.batch_pairs, 2 * (s.n_classes > PAIRED_FROM)
    lists = s.batch_features * s.classes_per_feature * (4 + (1 + biases) * s.itemsize)
    return Phase("touched classes", n * (2 + ELEMENT), lists + writes * n, n)


def support(s):
    """A training step of a sparse direct term: no number of it depends on K, but for where the biases are read."""
    n, weights = s.batch_pairs, s.batch_features * s.classes_per_feature
    return [
        _touch(s, 4 + 4 + s.itemsize),  # position, class, logit
        Phase("exponentials", n * ELEMENT, 2 * s.itemsize * n),
        Phase("gradients, step of W", 2 * n + 8 * weights, (4 + s.itemsize) * n + 4 * s.itemsize * weights),
    ]


def top(s, storage="float32"):
    """The best classes of a low-rank model: class weights and biases are read once for each chunk of rows."""
    rows = min(max((1 << 29) // s.n_classes, 64), 1024)
    n_chunks, n_logits = -(-s.batch // rows), s.batch * s.n_classes
    read = n_chunks * s.n_classes * (memory.vector(s, storage) + s.itemsize)
    return [embed(s, storage), Phase("logits, best classes", n_logits * (2 * s.hidden_size + ELEMENT), read)]


def top_support(s):
    return [_touch(s, 4 + s.itemsize), Phase("exponentials", s.batch_pairs * ELEMENT, 2 * s.itemsize * s.batch_pairs)]
