"""Softmax of lines that stay in cache: large ones, which are written past it, and small arrays, which take one step."""

import numpy as np
import pytest
from covering import ISAS, covering
from numpy.testing import assert_array_equal

from fastsoftmax.functional import log_softmax, logsumexp, softmax

DTYPES = [np.float32, np.float64]


def random(shape, dtype=np.float64):
    return np.random.default_rng(0).normal(0, 3, shape).astype(dtype)


@covering(
    {
        "isa": ISAS,
        "n, axis": [(100, 1), (1000, 1), (2, 0), (64, 0)],
        "function": [softmax, log_softmax],
        "dtype": DTYPES,
    },
    strength=2,
)
def test_large_output_of_cached_lines(isa, function, n, axis, dtype):
    """Lines that stay in cache are written past it too, and by the same numbers; a last vector is in part."""
    n_lines = (1 << 24) // n // np.dtype(dtype).itemsize // 64 * 64 + 64
    x = np.resize(random((n, 1009), dtype), (n, n_lines) if axis == 0 else (n_lines, n))
    start = 13
    memory = np.full(x.size + 32, 7, dtype)
    out = memory[start : start + x.size].reshape(x.shape)
    function(x, axis, out=out, n_threads=2)
    assert (memory[:start] == 7).all()
    assert (memory[start + x.size :] == 7).all()
    assert_array_equal(out, function(x, axis, out=x, n_threads=1))  # in place: not past the caches


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
@pytest.mark.parametrize("shape", [(7,), (8, 7), (3, 4, 5), (2, 100), (70, 3)])
def test_small_arrays_in_one_step(isa, function, shape, dtype):
    """A given n_threads takes the steps of all other arrays."""
    x = random(shape, dtype)
    x.flat[3] = np.inf
    for axis in [None, *range(-len(shape), len(shape))]:
        one, other = function(x, axis), function(x, axis, n_threads=1)
        assert_array_equal(one, other)
        assert type(one) is type(other)
        assert one.dtype == other.dtype
    with pytest.raises(ValueError, match="axis"):
        function(x, len(shape))


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_out_of_small_arrays(function):
    x = random((8, 7))
    expected = function(x, 1)
    memory = np.empty(150)
    memory[:56] = x.ravel()
    for out in (
        np.empty((8, 7)),
        memory[56:112].reshape(8, 7),
        memory[8:64].reshape(8, 7),
        memory[::2][:56].reshape(8, 7),
    ):
        memory[:56] = x.ravel()
        a = memory[:56].reshape(8, 7)
        assert function(a, 1, out=out) is out
        assert_array_equal(out, expected)
    out.flags.writeable = False
    for wrong in (out, np.empty((7, 8)), np.empty((8, 7), np.float32)):
        with pytest.raises(ValueError, match="out must"):
            function(x, 1, out=wrong)
