"""The problem whose size the curves vary: Zipf-distributed sparse rows and classes, and models ready to be stepped.

All weights are written before anything is timed: memory pages that were never written to cost nothing to read.
"""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np

from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs

from ..kernels.problems import classes_of_features, zipf_classes, zipf_rows

N_ROWS, N_FEATURES, N_ENTRIES, HIDDEN_SIZE, BATCH_SIZE = 8192, 50_000, 15, 128, 256
N_NEGATIVES, CLASSES_PER_FEATURE, TOP_K = 1024, 50, 20
LEARNING_RATE, INITIAL_STATE = 1e-3, 1e-10  # so small that repeated steps leave the problem as it is
BLOCK_ROWS = 9973  # so many random rows of V are repeated; a prime, so that a tile rarely has a row twice


def summary():
    """Return the sizes, for reports."""
    return {
        "n_features": N_FEATURES,
        "entries_a_row": N_ENTRIES,
        "hidden_size": HIDDEN_SIZE,
        "batch_size": BATCH_SIZE,
        "n_negatives": N_NEGATIVES,
        "classes_per_feature": CLASSES_PER_FEATURE,
        "top_k": TOP_K,
    }


@lru_cache(maxsize=1)
def rows():
    return zipf_rows(np.random.default_rng(0), N_ROWS, N_FEATURES, N_ENTRIES, "f")


def classes(n_classes):
    """Return class counts by Zipf's law, the classes numbered at random, and a class for each row."""
    counts, target = zipf_classes(np.random.default_rng(1), n_classes, N_ROWS)
    return SimpleNamespace(counts=counts, target=target)


def batches():
    """Yield the rows of one batch after the other, again and again."""
    while True:
        for start in range(0, N_ROWS, BATCH_SIZE):
            yield np.arange(start, start + BATCH_SIZE)


def _filled(a, block):
    """Fill `a` with repeats of `block`."""
    for start in range(0, len(a), len(block)):
        a[start : start + len(block)] = block[: len(a) - start]
    return a


def _states(shapes):
    return {name: np.full(shape, INITIAL_STATE, "f") for name, shape in shapes.items()}


def low_rank(n_classes):
    rng = np.random.default_rng(2)
    E = 0.2 * rng.standard_normal((N_FEATURES, HIDDEN_SIZE), dtype=np.float32)
    block = 0.2 * rng.standard_normal((BLOCK_ROWS, HIDDEN_SIZE), dtype=np.float32)
    V = _filled(np.empty((n_classes, HIDDEN_SIZE), "f"), block)
    state = _states({"E": N_FEATURES, "V": n_classes, "bias": n_classes})
    return Model(E=E, V=V, bias=np.full(n_classes, 0.0, "f"), state=state)


def support(n_classes):
    """Make a sparse term in which each feature has CLASSES_PER_FEATURE classes, drawn from all."""
    rng = np.random.default_rng(3)
    class_ids = classes_of_features(rng, n_classes, N_FEATURES, CLASSES_PER_FEATURE)
    pairs = Pairs(np.arange(N_FEATURES + 1, dtype=np.int32) * CLASSES_PER_FEATURE, class_ids.ravel())
    W = 0.1 * rng.standard_normal(class_ids.size, dtype=np.float32)
    bias = rng.standard_normal(n_classes, dtype=np.float32)
    return Model(W=W, bias=bias, state=_states({"W": class_ids.size}), pairs=pairs)


def linear(n_classes):
    """Make a dense direct term, feature-major as SoftmaxClassifier has it for sparse rows."""
    rng = np.random.default_rng(4)
    block = 0.1 * rng.standard_normal((97, n_classes), dtype=np.float32)
    W = _filled(np.empty((N_FEATURES, n_classes), "f"), block).T
    state = _states({"bias": n_classes}) | {"W": np.full((N_FEATURES, n_classes), INITIAL_STATE, "f").T}
    return Model(W=W, bias=np.full(n_classes, 0.0, "f"), state=state)


def model_bytes(model):
    """Return the bytes of the weights, the optimiser's state and the pairs of a sparse term."""
    n_bytes = sum(a.nbytes for a in model.arrays().values())
    return n_bytes + (0 if model.pairs is None else sum(a.nbytes for a in model.pairs))
