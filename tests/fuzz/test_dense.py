"""Functions of dense arrays: any layout, dtype, axis and magnitude, on every instruction set, against float64 truth."""

import numpy as np
import pytest
import reference
from fuzz import strategies as s
from fuzz.campaign import examples
from fuzz.tolerances import assert_within
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastsoftmax as fs

shapes = st.one_of(
    st.tuples(s.few),
    st.tuples(s.few, s.n_classes),
    st.tuples(s.n_classes, s.few),
    st.tuples(st.integers(0, 4), s.few, st.integers(0, 9)),
    st.sampled_from([(1, 20011), (1, 70000), (2, 20011), (20011, 1), (20011, 2)]),
)


@st.composite
def arrays(draw, shapes=shapes):
    """An array, the same in C order, and axes of it."""
    shape, dtype = draw(shapes), draw(s.dtypes)
    x = draw(s.logits(shape, dtype))
    axis = draw(st.sampled_from([None, 0, -1, *range(len(shape)), tuple(range(len(shape)))]))
    return s.laid_out(x, draw(s.array_layouts)), x, axis


def roundings(x, n=64):
    """n units in the last place at 1 and at each finite element of x."""
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.where(np.isfinite(x), np.abs(x.astype(np.longdouble)), 0)
        return float(np.finfo(x.dtype).eps * n) * (1 + size)


@pytest.fixture(autouse=True)
def on(isa):
    return isa


@examples(60)
@given(arrays=arrays(), keepdims=st.booleans(), n_threads=s.threads)
def test_logsumexp(arrays, keepdims, n_threads):
    given, x, axis = arrays
    value, sign = fs.logsumexp(given, axis, keepdims=keepdims, return_sign=True, n_threads=n_threads)
    truth, of_truth = reference.logsumexp(x, axis, keepdims=keepdims)
    assert np.asarray(value).dtype == x.dtype
    truth = truth.astype(x.dtype)
    assert_within(value, truth, roundings(truth), "value")
    assert_array_equal(sign, of_truth)
    assert_array_equal(fs.logsumexp(given, axis, keepdims=keepdims, n_threads=1), value)


@examples(30)
@given(arrays=arrays(), rng=s.rngs, signed=st.booleans())
def test_logsumexp_with_weights(arrays, rng, signed):
    """Compared as sums, since a difference can cancel."""
    given, x, axis = arrays
    assume(x.size)
    b = rng.random(x.shape).astype(x.dtype) * rng.choice([0, 1, -1 if signed else 1], x.shape)
    value, sign = fs.logsumexp(given, axis, b=b, return_sign=True)
    truth, of_truth = reference.logsumexp(x, axis, b=b)
    size = reference.logsumexp(x, axis, b=np.abs(b))[0]
    plain = np.isfinite(size)
    with np.errstate(all="ignore"):
        ours, right = (np.where(plain, sg * np.exp(v - size), 0) for v, sg in ((value, sign), (truth, of_truth)))
        allowed = np.nan_to_num(roundings(np.asarray(size, x.dtype), 256).astype(float))
    assert_within(ours, right, allowed, "sum")
    assert_array_equal(np.isnan(value), np.isnan(truth))


@examples(60)
@given(arrays=arrays(), n_threads=s.threads)
def test_softmax(arrays, n_threads):
    given, x, axis = arrays
    assume(x.size)
    y = fs.softmax(given, axis, n_threads=n_threads)
    assert_within(y, reference.softmax(x, axis), 64 * np.finfo(x.dtype).eps, "softmax")
    log_y = fs.log_softmax(given, axis, n_threads=n_threads)
    assert_log_softmax(log_y, x, axis)
    assert_array_equal(fs.softmax(given, axis, n_threads=1), y)
    assert_array_equal(fs.log_softmax(given, axis, n_threads=1), log_y)


def assert_log_softmax(ours, x, axis):
    truth = reference.log_softmax(x, axis)
    with np.errstate(all="ignore"):
        allowed = np.nan_to_num(roundings(truth.astype(x.dtype)).astype(float))
        assert_within(ours, truth.astype(x.dtype), allowed, "log_softmax")


@examples(20)
@given(arrays=arrays(), layout=st.sampled_from(["C", "Fortran", "strided", "reversed"]))
def test_out(arrays, layout):
    given, x, axis = arrays
    assume(x.size)
    for function in (fs.softmax, fs.log_softmax):
        expected = function(given, axis)
        out = s.laid_out(np.full_like(x, 7), layout)
        assert function(given, axis, out=out) is out
        assert_array_equal(out, expected)
        own = s.laid_out(x.copy(), layout)
        before = function(own, axis)
        assert_array_equal(function(own, axis, out=own), before)
    value = np.asarray(fs.logsumexp(given, axis))
    if value.shape:
        out = s.laid_out(np.full_like(value, 7), layout)
        assert fs.logsumexp(given, axis, out=out) is out
        assert_array_equal(out, value)


@st.composite
def losses(draw):
    """Logits with classes along axis 0 or 1, targets of both kinds, and options."""
    k, dtype, rng = draw(s.n_classes), draw(s.dtypes), draw(s.rngs)
    shape = draw(st.sampled_from([(k,), (draw(s.few), k), (draw(s.few), k, 3), (2, k, 2, 3)]))
    axis = min(len(shape) - 1, 1)
    x = draw(s.values)(rng, shape).astype(dtype)
    options = {
        "weight": draw(st.sampled_from([None, rng.random(k), (rng.random(k) < 0.5).astype(dtype)])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.0, 0.01, 1.0])),
    }
    if draw(st.booleans()):
        target = rng.integers(0, k, shape[:axis] + shape[axis + 1 :])
        options["ignore_index"] = draw(st.sampled_from([-100, 0]))
        target = np.where(rng.random(target.shape) < 0.2, options["ignore_index"], target)
    else:
        target = reference.softmax(rng.standard_normal(shape), axis=axis).astype(dtype)
    return s.laid_out(x, draw(s.array_layouts)), x, target, options


@examples(60)
@given(p=losses(), n_threads=s.threads)
def test_cross_entropy(p, n_threads):
    given, x, target, options = p
    loss, dlogits = fs.cross_entropy(given, target, **options, return_grad=True, n_threads=n_threads)
    truth, of_truth = reference.cross_entropy(x, target, **options)
    with np.errstate(all="ignore"):
        size = np.abs(x).max(initial=1) * (1 if options["weight"] is None else options["weight"].max(initial=1))
        allowed = 512 * np.finfo(x.dtype).eps * size
        n_positions = max(1, x.size // x.shape[min(x.ndim - 1, 1)])
        assert_within(loss, truth, allowed * (n_positions if options["reduction"] == "sum" else 1), "loss")
        if np.isfinite(truth).all():
            scale = np.abs(of_truth).max(initial=1)
            assert_within(dlogits, of_truth, 512 * np.finfo(x.dtype).eps * scale, "dlogits")
    assert dlogits.shape == x.shape and dlogits.dtype == x.dtype
    one = fs.cross_entropy(given, target, **options, return_grad=True, n_threads=1)
    assert_array_equal(one[0], loss)
    assert_array_equal(one[1], dlogits)


@examples(20)
@given(p=losses(), offset=st.sampled_from([-1e4, -50.0, 3.0, 1e5]))
def test_an_offset_of_all_logits_changes_nothing(p, offset):
    _, x, target, options = p
    x = x.astype(np.float64)
    target = target.astype(float) if target.dtype.kind == "f" else target
    base = fs.cross_entropy(x, target, **options, return_grad=True)
    assume(np.isfinite(base[0]).all())
    moved = fs.cross_entropy(x + offset, target, **options, return_grad=True)
    assert_within(moved[0], base[0], 1e-9 * max(1, x.size), "loss")
    assert_within(moved[1], base[1], 1e-9 * max(1, np.abs(base[1]).max(initial=0)), "dlogits")
