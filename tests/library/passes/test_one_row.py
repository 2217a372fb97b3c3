"""One row by itself against slow references: the best numbers, and the best items of a mixture."""

import numpy as np
import one_row_twin
import pytest
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.passes import one_row
from fastsoftmax.passes.eligible import EMPTY

DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 3e-5, np.float64: 1e-12}
# classes, items, inner size: one class, odd sizes, whole blocks, several blocks; items that are no classes
SHAPES = [(1, 1, 1), (1, 5, 3), (7, 7, 16), (50, 1023, 33), (1024, 2048, 8), (2500, 2500, 5), (1025, 5000, 130)]


def problem(n_classes, n_items, n_hidden, dtype, index=np.int32):
    """The softmax, which items its classes are, and votes of two others, of which items some are the same."""
    rng = np.random.default_rng(n_classes + n_items)
    V = rng.normal(size=(n_classes, n_hidden)).astype(dtype)
    softmax = rng.normal(size=n_hidden).astype(dtype), V, rng.normal(size=n_classes).astype(dtype)
    items = np.sort(rng.permutation(n_items)[:n_classes])
    votes = [(rng.integers(0, n_items, n).astype(index), rng.random(n).astype(dtype), 0.1 / n) for n in (3, 40)]
    return softmax, items, votes


def best(softmax, items, n_items, votes, share, k, *, n_threads=2, excluded=(), mixing=None):
    mixing = mixing or one_row.Mixing(*softmax[1:], items, n_items)
    for vote in votes:
        mixing.add(*vote)
    return mixing.best(softmax[0], share, k, n_threads, np.array(excluded, np.int64))


@covering(
    {"isa": ISAS, "shape": SHAPES, "dtype": DTYPES, "index": [np.int32, np.int64], "n_threads": [1, 2, 5]}, strength=2
)
def test_the_mixture_equals_its_twin(isa, shape, dtype, index, n_threads):
    softmax, items, votes = problem(*shape, dtype, index)
    n_items = shape[1]
    for k in {1, min(3, n_items), n_items}:
        for excluded in ([], np.arange(0, n_items - k, 2)):
            found = best(softmax, items, n_items, votes, 0.8, k, n_threads=n_threads, excluded=excluded)
            expected = one_row_twin.best_of_mixture(*softmax, items, n_items, 0.8, votes, k, excluded)
            assert_allclose(found[1], expected[1], rtol=RTOL[dtype])
            every = np.empty(n_items)
            every[expected[0]] = np.nan  # each item once, and none but these up to rounding
            everything = one_row_twin.best_of_mixture(*softmax, items, n_items, 0.8, votes, n_items)
            every[everything[0]] = everything[1]
            assert_allclose(every[found[0]], expected[1], rtol=RTOL[dtype])
            assert len(set(found[0].tolist())) == k and not set(found[0].tolist()) & set(np.asarray(excluded).tolist())


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_for_any_number_of_threads_and_rows_before(dtype):
    softmax, items, votes = problem(5000, 7001, 17, dtype)
    mixing = one_row.Mixing(*softmax[1:], items, 7001)
    expected = best(softmax, items, 7001, votes, 0.5, 40, n_threads=1)
    for n_threads in (1, 2, 3, 7):
        found = best(softmax, items, 7001, votes, 0.5, 40, n_threads=n_threads, mixing=mixing)
        for a, b in zip(found, expected, strict=True):
            assert_array_equal(a, b)
        assert not mixing.given.any()


def test_equal_items_come_in_their_order(isa):
    """All classes are alike, in several blocks; those that get the same votes are alike, too."""
    n = 3000
    softmax = np.zeros(4, np.float32), np.ones((n, 4), np.float32), np.zeros(n, np.float32)
    votes = [(np.array([2900, 1500, 7], np.int32), np.ones(3, np.float32), 0.1)]
    for n_threads in (1, 3):
        items, _ = best(softmax, np.arange(n), n, votes, 0.7, 6, n_threads=n_threads, excluded=[1])
        assert items.tolist() == [7, 1500, 2900, 0, 2, 3]


def test_more_places_than_items_are_left():
    softmax, items, votes = problem(3, 5, 2, np.float32)
    found, values = best(softmax, items, 5, votes, 1.0, 7, excluded=[0, 4])
    assert sorted(found[:3].tolist()) == [1, 2, 3] and (found[3:] == EMPTY).all() and (values[3:] == -np.inf).all()


def test_weights_that_are_not_numbers_are_an_error():
    softmax, items, votes = problem(7, 7, 3, np.float32)
    softmax[1][4, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        best(softmax, items, 7, votes, 1.0, 2)


def test_the_best_numbers(isa):
    rng = np.random.default_rng(0)
    for n in (1, 2, 63, 1000):
        numbers = rng.integers(0, 9, n) / 8
        for k in {1, min(20, n), n}:
            assert_array_equal(one_row.best(numbers, k), np.argsort(-numbers, kind="stable")[:k])
