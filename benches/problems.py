"""The shapes and inputs that the benchmarks share."""

import numpy as np

ROWWISE_SHAPES = [(1, 10_000_000), (64, 1_000_000), (1024, 33_000), (16_384, 1_000), (65_536, 100), (8, 7)]
COLUMNWISE_SHAPES = [(2, 1_000_000), (10, 100_000), (1_000, 1_000), (100_000, 33), (100_000, 2)]


def logits(shape, dtype):
    return (3 * np.random.default_rng(0).standard_normal(shape, dtype=np.float32)).astype(dtype, copy=False)


def target(n_rows, n_classes):
    return np.random.default_rng(1).integers(0, n_classes, n_rows)


def name_of(shape):
    return "x".join(map(str, shape))
