import itertools

import numpy as np
import pytest
import reference
import scipy.special
from covering import ISAS, covering
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.functional import cross_entropy, log_softmax, logsumexp, softmax
from fastsoftmax.runtime import memory

DTYPES = [np.float32, np.float64]
SHAPES = [
    (1,), (2,), (252,), (70_001,), (0,), (3, 0), (0, 3), (1, 1), (8, 7), (33, 40), (5, 507), (507, 5), (300, 123),
    (2, 40_000), (40_000, 2), (3, 70_001), (70_001, 3), (600, 259), (4, 5, 6), (2, 130, 140), (3, 252, 17),
    (2, 3, 4, 5),
]  # fmt: skip


def random(shape, dtype=np.float64, scale=8.0, seed=0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def axes_of(ndim):
    pairs = itertools.combinations(range(ndim), 2)
    return [None, *range(ndim), -1, *pairs]


def assert_close(actual, expected, dtype, scale=1.0):
    """Compare to a few roundings of numbers up to `scale`."""
    tolerance = 8 * np.finfo(dtype).eps * scale
    assert np.asarray(actual).dtype == dtype
    assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, strict=False)
    assert np.shape(actual) == np.shape(expected)


# -- against the reference --


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_against_reference(isa, shape, dtype):
    x = random(shape, dtype)
    before = x.copy()
    for axis in axes_of(x.ndim):
        assert_close(logsumexp(x, axis), reference.logsumexp(x, axis)[0], dtype, 8)
        if x.size:
            assert_close(log_softmax(x, axis), reference.log_softmax(x, axis), dtype, 8)
            expected = reference.softmax(x, axis)
            assert_allclose(softmax(x, axis), expected, rtol=np.finfo(dtype).eps * 80, atol=3 * np.finfo(dtype).tiny)
        else:
            assert softmax(x, axis).shape == log_softmax(x, axis).shape == shape
    assert_array_equal(x, before)


@covering(
    {
        "isa": ISAS,
        "shape, axis": [
            ((200_000,), 0),
            ((3, 140_001), 1),
            ((140_001, 3), 0),
            ((1000, 600), 0),
            ((1000, 600), 1),
            ((2, 300, 400), 1),
            ((40, 9000), 0),
        ],
        "function": [logsumexp, softmax, log_softmax],
        "dtype": DTYPES,
    },
    strength=2,
)
def test_bitwise_the_same_for_any_n_threads(isa, function, shape, axis, dtype):
    x = random(shape, dtype)
    one, *others = (function(x, axis, n_threads=n) for n in (1, 2, 3, 16))
    for other in others:
        assert_array_equal(one, other)


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 2), (1, 2)])
def test_any_memory_layout(function, axis):
    x = random((7, 30, 11))
    expected = function(x, axis)
    strided = np.zeros((14, 30, 22))[::2, :, ::2]
    strided[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    reversed_rows = np.ascontiguousarray(x[::-1])[::-1]
    for other in (np.asfortranarray(x), strided, read_only, reversed_rows, x.swapaxes(0, 1).copy().swapaxes(0, 1)):
        assert_allclose(function(other, axis), expected, rtol=1e-13)
    assert_allclose(function(x.astype(">f8").astype("<f8"), axis), expected)


# -- edge cases, value by value as SciPy --

SPECIAL = [-np.inf, np.inf, np.nan, 0.0, 1.0, -1000.0, 1000.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_zeros", [0, 1, 40])
def test_infinities_and_nan_as_scipy(isa, dtype, n_zeros):
    """Every triple of special values is tried alone and in long rows, as rows and as columns."""
    triples = np.array(list(itertools.product(SPECIAL, repeat=3)))
    x = np.concatenate([triples, np.repeat(triples[:, :1], n_zeros, axis=1)], axis=1).astype(dtype)
    pairs = [(logsumexp, scipy.special.logsumexp), (softmax, scipy.special.softmax)]
    for ours, theirs in [*pairs, (log_softmax, scipy.special.log_softmax)]:
        with np.errstate(all="ignore"):
            expected = theirs(x, axis=1)
        assert_allclose(ours(x, axis=1), expected, rtol=1e-6)
        assert_allclose(ours(np.ascontiguousarray(x.T), axis=0).T, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_in_long_rows(isa, dtype):
    x = np.full((6, 80_000), -np.inf, dtype)
    x[1, 70_000], x[2, 3], x[3, 79_999], x[4, [0, 75_000]], x[5] = 5, np.nan, np.inf, (1000, 1001), -1000
    expected = [-np.inf, 5, np.nan, np.inf, 1001 + np.log1p(np.exp(-1)), -1000 + np.log(80_000)]
    for n_threads in (1, 2):
        assert_allclose(logsumexp(x, axis=1, n_threads=n_threads), expected, rtol=1e-6)
        assert_allclose(logsumexp(np.ascontiguousarray(x.T), axis=0, n_threads=n_threads), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_as_scipy(isa, dtype):
    a = np.array(list(itertools.product([-np.inf, np.inf, np.nan, 0, 1, 8], repeat=3))).astype(dtype)
    for b in itertools.product([0, 1, -1, -0.5], repeat=3):
        weights = np.array(b, dtype)
        existing = np.where(
            weights == 0, -np.inf, a.astype(np.float64)
        )  # SciPy forgets this where the result is infinite
        with np.errstate(all="ignore"):
            value, sign = scipy.special.logsumexp(existing, axis=1, b=weights, return_sign=True)
            unsigned = scipy.special.logsumexp(existing, axis=1, b=weights)
        got, got_sign = logsumexp(a, axis=1, b=weights, return_sign=True)
        assert_allclose(got, value, rtol=1e-6, atol=1e-6)
        assert_array_equal(got_sign, sign)
        assert_allclose(logsumexp(a, axis=1, b=weights), unsigned, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("b_shape", [(), (5,), (1, 5), (4, 1), (3, 1, 1), (3, 4, 5)])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1), (0, 2)])
def test_weights_broadcast(axis, b_shape):
    a, b = random((3, 4, 5)), random(b_shape, seed=1)
    value, sign = logsumexp(a, axis, b=b, return_sign=True)
    expected, expected_sign = reference.logsumexp(a, axis, b=b)
    assert_allclose(value, expected, rtol=1e-10)
    assert_array_equal(sign, expected_sign)


def test_weights_in_long_rows(isa):
    a, b = random((3, 90_001)), random((3, 90_001), seed=1)
    b[:, ::3] = 0
    a[:, ::3] = np.nan
    value, sign = logsumexp(a, 1, b=b, return_sign=True)
    expected, expected_sign = reference.logsumexp(a, 1, b=b)
    assert_allclose(value, expected, rtol=1e-12)
    assert_array_equal(sign, expected_sign)


def test_scalars_keepdims_and_empty():
    assert logsumexp(3.0) == 3.0
    assert softmax(3.0) == 1.0
    assert log_softmax(3) == 0.0
    assert isinstance(logsumexp([1.0, 2.0]), np.float64)
    assert logsumexp(np.zeros((2, 3, 4)), (0, 2), keepdims=True).shape == (1, 3, 1)
    assert logsumexp([]) == -np.inf
    assert_array_equal(logsumexp(np.zeros((2, 0, 3)), axis=1), np.full((2, 3), -np.inf))
    assert logsumexp(np.zeros((0, 3)), axis=1).shape == (0,)
    value, sign = logsumexp(np.zeros((0, 3)), axis=0, return_sign=True)
    assert_array_equal(value, [-np.inf] * 3)
    assert_array_equal(sign, [0] * 3)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint16, np.float16])
def test_other_dtypes(dtype):
    x = np.array([[0, 1, 1], [1, 0, 0]], dtype)
    result = np.float32 if dtype is np.float16 else np.float64
    assert_close(logsumexp(x, 1), reference.logsumexp(x, 1)[0], result)
    assert_close(softmax(x, 1), reference.softmax(x.astype(float), 1), result)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_keeps_its_digits_at_the_maximum(isa, dtype):
    # https://github.com/scipy/scipy/issues/19521
    x = np.array([-30.0, 0.0, -40.0], dtype)
    expected = np.log1p(np.exp(-30.0) + np.exp(-40.0))
    assert_allclose(log_softmax(x)[1], -expected, rtol=4 * np.finfo(dtype).eps)
    assert_allclose(logsumexp(x), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, 5000, 9999])
def test_one_of_many_elements_holds_nearly_all(isa, place, dtype):
    x = np.full(10_000, -40, dtype)
    x[[3, 4500]] = -35  # the maximum so far rises block by block
    x[place] = 0
    expected = np.log1p(np.exp(np.delete(x, place).astype(float)).sum())
    for actual in (logsumexp(x), logsumexp(np.repeat(x[:, None], 3, 1), 0)[1], -log_softmax(x)[place]):
        assert_allclose(actual, expected, rtol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_has_no_subnormal_results(isa, dtype):
    info = np.finfo(dtype)
    smallest = float(np.log(info.tiny))
    x = np.concatenate([np.zeros(100), np.linspace(smallest - 20, smallest + 20, 4001)]).astype(dtype)
    expected = reference.softmax(x)
    for y in (softmax(x), softmax(np.repeat(x[:, None], 3, 1), 0)[:, 1], softmax(x[None, ::100], 1)[0]):
        assert ((y == 0) | (y >= info.tiny)).all()
    clear = (expected < info.tiny / 2) | (expected > info.tiny * 2)
    y = softmax(x)
    assert_array_equal(y[clear] > 0, (expected > info.tiny)[clear])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((300, 15), 1),
        ((300, 127), 1),
        ((2, 140_000), 1),
        ((20, 300), 0),
        ((127, 300), 0),
        ((3, 500, 4), 1),
        ((70_000, 2), 0),
    ],
)
def test_what_softmax_makes_0(isa, shape, axis, dtype):
    """Sums of all sizes, since they move what is cut off."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    large = rng.random(shape) < np.exp(-4 * rng.random((1, *shape[1:])))
    np.put_along_axis(large, np.zeros_like(large.take([0], axis), dtype=int), True, axis)
    x = np.where(large, random(shape, scale=3), -np.inf)
    below = reference.logsumexp(x, axis, keepdims=True)[0] + np.log(info.tiny) + rng.uniform(-1, 2, shape)
    x = np.where(large, x, below).astype(dtype)
    e = np.exp(x.astype(np.longdouble) - x.max(axis, keepdims=True))
    exact, tiny = e / e.sum(axis, keepdims=True), info.tiny.astype(np.longdouble)
    y, tolerance = softmax(x, axis), -np.log(info.tiny) * info.eps
    assert (exact[y == 0] > tiny / 2).any()
    assert (exact[y == 0] <= np.sqrt(2) * tiny * (1 + 2 * tolerance)).all()
    assert ((y == 0) | (y >= info.tiny)).all()
    assert_allclose(y[y > 0], exact[y > 0].astype(dtype), rtol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_error_is_no_larger_than_naive(isa, dtype):
    x = random((50, 5003), dtype, scale=3)
    exact = reference.logsumexp(x, 1)[0]
    shift = x.max(axis=1)
    naive = np.log(np.exp(x - shift[:, None]).sum(axis=1)) + shift
    eps = np.finfo(dtype).eps
    assert np.abs(logsumexp(x, 1) - exact).max() <= np.abs(naive - exact).max() + 2 * eps


# -- properties --

rows = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-700, 700))


@settings(deadline=None)
@given(rows, st.floats(-500, 500))
def test_shift_invariance(x, shift):
    assert_allclose(logsumexp(x + shift), logsumexp(x) + shift, rtol=1e-12, atol=1e-10)
    assert_allclose(softmax(x + shift), softmax(x), rtol=1e-10, atol=1e-300)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_permutation_and_sum(x, rng):
    order = rng.sample(range(x.size), x.size)
    assert_allclose(logsumexp(x[order]), logsumexp(x), rtol=1e-13, atol=1e-13)
    assert_allclose(softmax(x[order]), softmax(x)[order], rtol=1e-12)
    assert_allclose(softmax(x).sum(), 1, rtol=1e-13)
    assert_allclose(np.exp(log_softmax(x)), softmax(x), rtol=1e-11, atol=1e-300)
    assert logsumexp(x) >= x.max()


# -- out --


@pytest.mark.parametrize("function", [softmax, log_softmax])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_out(function, axis, order):
    x = np.array(random((4, 33, 50)), order=order)
    expected = function(x, axis)
    for out in (np.empty_like(x), np.empty((4, 33, 100))[:, :, ::2], np.empty_like(x, order="F")):
        assert function(x, axis, out=out) is out
        assert_array_equal(out, expected)
    wide = np.empty((5, 33, 50))
    wide[:4] = x
    function(wide[:4], axis, out=wide[1:])  # overlaps its input
    assert_array_equal(wide[1:], function(np.ascontiguousarray(x), axis))
    assert function(x, axis, out=x) is x
    assert_array_equal(x, expected)


def test_in_place_of_long_rows():
    x = random((2, 100_001), np.float32)
    expected = softmax(x, 1)
    assert_array_equal(softmax(x, 1, out=x, n_threads=2), expected)


@covering({"isa": ISAS, "start": [0, 1, 7, 13], "function": [softmax, log_softmax], "dtype": DTYPES}, strength=2)
def test_large_output_at_any_address(isa, function, start, dtype):
    """Large output is written past the caches, in aligned vectors."""
    x = random((3, (1 << 24) // 3 // np.dtype(dtype).itemsize + 11), dtype)
    memory = np.full(x.size + 32, 7, dtype)
    out = memory[start : start + x.size].reshape(x.shape)
    function(x, 1, out=out, n_threads=2)
    assert (memory[:start] == 7).all()
    assert (memory[start + x.size :] == 7).all()
    assert_array_equal(out, function(x, 1, out=x, n_threads=1))  # in place: not past the caches


def test_logsumexp_out():
    x = random((4, 5))
    out = np.empty(5)
    assert logsumexp(x, 0, out=out) is out
    assert_array_equal(out, logsumexp(x, 0))


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
def test_bad_input(function):
    x = np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"real numbers.*complex128"):
        function(x + 1j)
    with pytest.raises(TypeError, match="object"):
        function(np.array(["a", None]))
    with pytest.raises(ValueError, match="axis: axis 2 is out of bounds"):
        function(x, axis=2)
    with pytest.raises(TypeError, match=r"axis must be an integer, got 1\.0"):
        function(x, axis=1.0)
    with pytest.raises(ValueError, match="twice"):
        function(x, axis=(1, -1))
    with pytest.raises(ValueError, match=r"n_threads.*0"):
        function(x, n_threads=0)
    with pytest.raises(TypeError, match="out must be a numpy array, got list"):
        function(x, axis=1, out=[0, 0])
    with pytest.raises(ValueError, match=r"out must have shape .* got \(7,\)"):
        function(x, axis=1, out=np.empty(7))
    read_only = function(x, axis=1)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        function(x, axis=1, out=read_only)
    with pytest.raises(ValueError, match="float32"):
        function(x, axis=1, out=np.empty_like(read_only, dtype=np.float32))


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"b of shape \(4,\) does not broadcast"):
        logsumexp(np.zeros((2, 3)), b=np.zeros(4))


@pytest.mark.slow
@pytest.mark.skipif((memory.available() or np.inf) < 14 * 2**30, reason="needs 10 GiB of memory")
def test_more_than_two_to_the_31_elements():
    """One array of 8 GiB has 2**31 + 2**17 logits, and its last row differs from the others."""
    n, k = 2**14 + 1, 2**17
    x = np.zeros((n, k), np.float32)
    x[-1] = 1
    x[-1, -1] = 30
    last = np.log((k - 1) * np.e + np.exp(30.0))
    assert_allclose(logsumexp(x, axis=1)[[0, -2, -1]], [np.log(k), np.log(k), last], rtol=1e-6)
    assert_allclose(logsumexp(x), np.log((n - 1.0) * k + np.exp(last)), rtol=1e-6)
    target = np.full(n, k - 1)
    assert_allclose(cross_entropy(x, target, reduction="none")[[0, -1]], [np.log(k), last - 30], rtol=1e-6)
    assert softmax(x, axis=1, out=x) is x
    assert_allclose(x[[0, -2, -1], [-1, 0, -1]], [1 / k, 1 / k, np.exp(30 - last)], rtol=1e-6)
