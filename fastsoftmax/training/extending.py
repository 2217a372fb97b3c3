"""How a trained model is extended by the pairs of further rows, and by further classes."""

import numpy as np

from fastsoftmax.runtime import memory
from fastsoftmax.training import initial
from fastsoftmax.validation import (
    check_memory,
    check_not_compact,
    check_row_norms,
)


def add_pairs(options, model, state, X, target):
    """Give the pairs of these rows weights in the sparse term, if there is one."""
    if model.pairs is None:
        return
    if state.damping is None:  # the term was dense before it was pruned
        state.damping = check_row_norms(X)
    shard, most = model.shard, options.sparse_term.max_classes_per_feature
    pairs = initial.pairs_of(options, X, target, shard, model.n_all_classes)
    if most is not None:  # such features say little about the class, and cost the most
        pairs = pairs.without(shard.add(model.pairs.n_classes()) > most)
    model.add_pairs(pairs, state.damping)


def add_classes(model, state, n_classes, at):
    """Extend the model to `n_classes` classes; `at`, ascending, are the codes of its old classes among them."""
    check_not_compact(model, "add_classes")
    n_bytes = sum(a.nbytes for a in model.arrays().values())
    check_memory(
        "the model with its new classes",
        int(n_bytes * n_classes / model.n_classes),
        f"{memory.shown(n_bytes)} with {model.n_classes:,} classes, now {n_classes:,}",
    )
    counts = np.zeros(n_classes, state.class_counts.dtype)
    counts[at] = state.class_counts
    frequency = initial.log_frequencies(counts)
    unseen = frequency[counts == 0].min()
    starts = (None if a is None else _slope(a, frequency[at]) * unseen for a in (model.bias, model.prior))
    model.add_classes(at, n_classes, *starts)
    state.restart(counts)


def _slope(bias, frequency):
    """The factor between a bias and the log class frequencies that it started at, after training and calibration."""
    return max(float(bias.astype(np.float64) @ frequency) / float(frequency @ frequency), 0.0)
