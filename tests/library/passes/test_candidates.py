"""The candidates of a sampled loss, against numpy.unique."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastsoftmax.kernels import candidates as candidates_kernel
from fastsoftmax.passes.candidates import Candidates


def twin(drawn, target, log_expected):
    class_ids, column = np.unique(np.concatenate([drawn, target]), return_inverse=True)
    n_drawn = len(drawn)
    counts = np.bincount(column[:n_drawn], minlength=len(class_ids)).astype(np.float64)
    offset = np.full(len(class_ids), -np.inf)
    offset[column[:n_drawn]] = 0.0 if log_expected is None else -log_expected
    return class_ids, column[n_drawn:], counts, offset


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    "n_drawn, n_targets", [(0, 0), (0, 1), (1, 0), (1, 1), (7, 3), (64, 64), (127, 1), (1000, 333)]
)
@pytest.mark.parametrize("n_classes", [1, 5, 2**31 - 1])
def test_candidates_are_the_drawn_classes_and_the_targets(n_classes, n_drawn, n_targets, dtype):
    rng = np.random.default_rng(n_drawn)
    drawn = rng.integers(n_classes, size=n_drawn)
    target = rng.integers(n_classes, size=n_targets).astype(dtype)
    target[: min(n_drawn, n_targets) // 2] = drawn[: min(n_drawn, n_targets) // 2]
    log_expected = np.log1p(drawn.astype(np.float64))  # a class has one
    for expected in (log_expected, None):
        for found, right in zip(
            candidates_kernel.unite(drawn, target, expected), twin(drawn, target, expected), strict=True
        ):
            assert_array_equal(found, right)


def test_of_a_class_that_was_drawn_twice_the_last_draw_counts():
    _, _, counts, offset = candidates_kernel.unite(np.array([4, 2, 4]), np.array([2, 9]), np.array([0.5, 1.5, 2.5]))
    assert_array_equal(counts, [1, 2, 0])
    assert_array_equal(offset, [-1.5, -2.5, -np.inf])


def test_repeats_are_in_the_offset_or_in_the_weight():
    drawn, target, log_expected = np.array([3, 1, 3, 3]), np.array([1, 0]), np.array([0.5, 0.25, 0.5, 0.5])
    softmax = Candidates(target, drawn, log_expected)
    assert_array_equal(softmax.class_ids, [0, 1, 3])
    assert_array_equal(softmax.target, [1, 0])
    assert_array_equal(softmax.offset, [-np.inf, -0.25, np.log(3) - 0.5])
    assert softmax.weight is None
    logistic = Candidates(target, drawn, log_expected.astype(np.float32), loss="nce")
    assert_array_equal(logistic.weight, [0, 1, 3])
    assert_array_equal(logistic.offset, [-np.inf, -0.25, -0.5])
    assert_array_equal(Candidates(target, drawn, None, loss="negative_sampling").offset, [-np.inf, 0, 0])
