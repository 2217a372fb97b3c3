import itertools

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import _reference
from fastsoftmax.functional import cross_entropy, log_softmax, logsumexp, softmax

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
    """A few roundings of numbers up to `scale`."""
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
        assert_close(logsumexp(x, axis), _reference.logsumexp(x, axis)[0], dtype, 8)
        if x.size:
            assert_close(log_softmax(x, axis), _reference.log_softmax(x, axis), dtype, 8)
            expected = _reference.softmax(x, axis)
            assert_allclose(softmax(x, axis), expected, rtol=np.finfo(dtype).eps * 80, atol=3 * np.finfo(dtype).tiny)
        else:
            assert softmax(x, axis).shape == log_softmax(x, axis).shape == shape
    assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((3, 140_001), 1), ((140_001, 3), 0), ((1000, 600), 0), ((1000, 600), 1), ((2, 300, 400), 1), ((200_000,), 0)],
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
    """Every triple of special values, alone and in long rows; as rows and as columns."""
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
    expected, expected_sign = _reference.logsumexp(a, axis, b=b)
    assert_allclose(value, expected, rtol=1e-10)
    assert_array_equal(sign, expected_sign)


def test_weights_in_long_rows(isa):
    a, b = random((3, 90_001)), random((3, 90_001), seed=1)
    b[:, ::3] = 0
    a[:, ::3] = np.nan
    value, sign = logsumexp(a, 1, b=b, return_sign=True)
    expected, expected_sign = _reference.logsumexp(a, 1, b=b)
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
    assert_close(logsumexp(x, 1), _reference.logsumexp(x, 1)[0], result)
    assert_close(softmax(x, 1), _reference.softmax(x.astype(float), 1), result)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_keeps_its_digits_at_the_maximum(isa, dtype):
    # https://github.com/scipy/scipy/issues/19521
    x = np.array([-30.0, 0.0, -40.0], dtype)
    expected = np.log1p(np.exp(-30.0) + np.exp(-40.0))
    assert_allclose(log_softmax(x)[1], -expected, rtol=4 * np.finfo(dtype).eps)
    assert_allclose(logsumexp(x), expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_error_is_no_larger_than_naive(isa, dtype):
    x = random((50, 5003), dtype, scale=3)
    exact = _reference.logsumexp(x, 1)[0]
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


# -- cross_entropy --

LOGITS_SHAPES = [(6,), (1, 1), (40, 7), (3, 507), (2, 123, 9), (3, 5, 2, 4)]
OPTIONS = [
    {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    for weight in (False, True)
    for reduction in ("mean", "sum", "none")
    for smoothing in (0.0, 0.2)
]


def problem(shape, kind, dtype, weight, seed=0):
    """logits, target and weight; every third class target is to be ignored."""
    rng = np.random.default_rng(seed)
    logits = (5 * rng.standard_normal(shape)).astype(dtype)
    axis = min(len(shape) - 1, 1)
    n_classes = shape[axis]
    positions = shape[:axis] + shape[axis + 1 :]
    if kind == "codes":
        target = np.asarray(rng.integers(0, n_classes, positions))
        target[np.asarray(rng.random(positions) < 0.3)] = -100
    else:
        target = scipy.special.softmax(rng.standard_normal(shape), axis=axis).astype(dtype)
    return logits, target, rng.random(n_classes).astype(dtype) + 0.1 if weight else None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["codes", "probabilities"])
@pytest.mark.parametrize("shape", [*LOGITS_SHAPES, (2, 70_001), (500, 300), (2, 35_001, 2)])
def test_cross_entropy_against_reference(isa, shape, kind, dtype):
    for options in OPTIONS if np.prod(shape) < 5000 else (OPTIONS[0], OPTIONS[-1]):
        logits, target, weight = problem(shape, kind, dtype, options["weight"])
        options = {**options, "weight": weight}
        results = [cross_entropy(logits, target, return_grad=True, n_threads=n, **options) for n in (1, 2, 3)]
        loss, grad = results[0]
        for other_loss, other_grad in results[1:]:
            assert_array_equal(loss, other_loss)
            assert_array_equal(grad, other_grad)
        expected_loss, expected_grad = _reference.cross_entropy(logits, target, **options)
        assert_allclose(loss, expected_loss, rtol=20 * np.finfo(dtype).eps)
        assert_allclose(grad, expected_grad, rtol=100 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
        assert loss.dtype == grad.dtype == dtype
        assert_array_equal(cross_entropy(logits, target, **options), loss)


@pytest.mark.parametrize("kind", ["codes", "probabilities"])
@pytest.mark.parametrize("shape", LOGITS_SHAPES)
def test_cross_entropy_against_torch(shape, kind):
    torch = pytest.importorskip("torch")
    for options, ignore_index in itertools.product(OPTIONS, [-100, 0] if kind == "codes" else [-100]):
        logits, target, weight = problem(shape, kind, np.float64, options["weight"])
        if kind == "codes" and ignore_index == 0:
            target[target == -100] = 0
        z = torch.tensor(logits, requires_grad=True)
        torch_options = {**options, "weight": None if weight is None else torch.tensor(weight)}
        expected = torch.nn.functional.cross_entropy(
            z, torch.tensor(target), ignore_index=ignore_index, **torch_options
        )
        expected.sum().backward()
        loss, grad = cross_entropy(
            logits, target, ignore_index=ignore_index, return_grad=True, **{**options, "weight": weight}
        )
        assert_allclose(loss, expected.detach(), rtol=1e-12)
        assert_allclose(grad, z.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ["codes", "probabilities"])
@pytest.mark.parametrize("shape", [(6,), (5, 4), (2, 3, 4)])
def test_gradient_is_numerical(shape, kind):
    step = 1e-5
    for options in OPTIONS:
        logits, target, weight = problem(shape, kind, np.float64, options["weight"])
        options = {**options, "weight": weight}
        grad = cross_entropy(logits, target, return_grad=True, **options)[1]
        for index in np.ndindex(shape):
            up, down = logits.copy(), logits.copy()
            up[index] += step
            down[index] -= step
            rise = np.sum(cross_entropy(up, target, **options) - cross_entropy(down, target, **options))
            assert_allclose(grad[index], rise / (2 * step), rtol=1e-6, atol=1e-8)


def test_gradient_keeps_its_digits(isa):
    loss, grad = cross_entropy(np.array([[30.0, 0, 0]], np.float32), [0], return_grad=True)
    assert_allclose(loss, 2 * np.exp(-30.0), rtol=1e-6)
    assert_allclose(grad, [[-2 * np.exp(-30.0), np.exp(-30.0), np.exp(-30.0)]], rtol=1e-6)


def test_all_ignored():
    logits = np.full((2, 3), np.nan)
    loss, grad = cross_entropy(logits, [-100, -100], return_grad=True)
    assert np.isnan(loss)
    assert_array_equal(grad, np.zeros((2, 3)))
    assert cross_entropy(logits, [-100, -100], reduction="sum") == 0
    assert np.isnan(cross_entropy(np.zeros((0, 3)), np.zeros(0, int)))
    assert cross_entropy(np.zeros((0, 3)), np.zeros(0, int), reduction="none").shape == (0,)


def test_infinite_logits_as_torch():
    inf, nan = np.inf, np.nan
    logits = np.array([[0, -inf, 0], [inf, 0, 1], [nan, 0, 1], [-inf, -inf, -inf]])
    loss, grad = cross_entropy(logits, [1, 1, 1, 1], reduction="none", return_grad=True)
    assert_array_equal(loss, [inf, nan, nan, nan])
    assert_array_equal(grad, [[0.5, -1, 0.5], *[[nan] * 3] * 3])


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda x: x[::-1].copy()[::-1], lambda x: x.repeat(2, -1)[..., ::2]]
)
@pytest.mark.parametrize("kind", ["codes", "probabilities"])
@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 5)])
def test_cross_entropy_of_any_memory_layout(shape, kind, layout):
    logits, target, weight = problem(shape, kind, np.float64, True)
    expected = cross_entropy(logits, target, weight=weight, return_grad=True, reduction="none")
    result = cross_entropy(
        layout(logits), layout(target), weight=weight[::-1][::-1], return_grad=True, reduction="none"
    )
    assert_allclose(result[0], expected[0], rtol=1e-13)
    assert_allclose(result[1], expected[1], rtol=1e-13)


def test_cross_entropy_bad_input():
    logits = np.zeros((3, 4))
    with pytest.raises(
        ValueError, match=r"target must be from 0 to 3 or ignore_index \(-100\), got 4 at position \(1,\)"
    ):
        cross_entropy(logits, [0, 4, -1])
    with pytest.raises(ValueError, match=r"got -1 at position \(0, 1\)"):
        cross_entropy(np.zeros((1, 4, 2)), [[0, -1]])
    with pytest.raises(TypeError, match=r"class codes.*bool"):
        cross_entropy(logits, [True, False, True])
    with pytest.raises(TypeError, match=r"class codes.*float64"):
        cross_entropy(logits, [0.0, 1.0, 2.0])
    with pytest.raises(TypeError, match=r"class codes.*complex"):
        cross_entropy(logits, np.zeros((3, 4), complex))
    with pytest.raises(ValueError, match=r"target must have shape \(3,\)"):
        cross_entropy(logits, [0, 1])
    with pytest.raises(ValueError, match=r"class probabilities, \(3, 4\), got \(3, 5\)"):
        cross_entropy(logits, np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"weight must have shape \(4,\)"):
        cross_entropy(logits, [0, 1, 2], weight=[1, 2])
    with pytest.raises(ValueError, match=r"reduction must be one of .*'avg'"):
        cross_entropy(logits, [0, 1, 2], reduction="avg")
    with pytest.raises(ValueError, match=r"label_smoothing must be at most 1, got 1\.5"):
        cross_entropy(logits, [0, 1, 2], label_smoothing=1.5)
    with pytest.raises(TypeError, match="ignore_index must be an integer"):
        cross_entropy(logits, [0, 1, 2], ignore_index=None)
    with pytest.raises(ValueError, match=r"ignore_index.*probabilities.*got 1"):
        cross_entropy(logits, np.zeros((3, 4)), ignore_index=1)
    with pytest.raises(ValueError, match="at least one dimension"):
        cross_entropy(1.0, 0)
    with pytest.raises(ValueError, match=r"at least one class, got shape \(3, 0\)"):
        cross_entropy(np.zeros((3, 0)), [0, 0, 0])
