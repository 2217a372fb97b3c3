import numpy as np
import pytest
import reference
import scipy.special
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy
from fastsoftmax.functional import cross_entropy

DTYPES = [np.float32, np.float64]
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


@covering(
    {
        "isa": ISAS,
        "shape": [*LOGITS_SHAPES, (2, 70_001), (500, 300), (2, 35_001, 2)],
        "kind": ["codes", "probabilities"],
        "dtype": DTYPES,
    }
)
def test_cross_entropy_against_reference(isa, shape, kind, dtype):
    for options in OPTIONS if np.prod(shape) < 5000 else (OPTIONS[0], OPTIONS[-1]):
        logits, target, weight = problem(shape, kind, dtype, options["weight"])
        options = {**options, "weight": weight}
        results = [cross_entropy(logits, target, return_grad=True, n_threads=n, **options) for n in (1, 2, 3)]
        loss, grad = results[0]
        for other_loss, other_grad in results[1:]:
            assert_array_equal(loss, other_loss)
            assert_array_equal(grad, other_grad)
        expected_loss, expected_grad = reference.cross_entropy(logits, target, **options)
        assert_allclose(loss, expected_loss, rtol=20 * np.finfo(dtype).eps)
        assert_allclose(grad, expected_grad, rtol=100 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
        assert loss.dtype == grad.dtype == dtype
        assert_array_equal(cross_entropy(logits, target, **options), loss)


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 40), (300, 40, 3), (3, 200, 50)])
def test_what_the_gradient_makes_0(isa, shape, dtype):
    """Weights of all sizes, since they move what is cut off."""
    rng, tiny = np.random.default_rng(0), np.finfo(dtype).tiny.astype(np.longdouble)
    n_classes, positions = shape[1], (shape[0], *shape[2:])
    target = rng.integers(0, n_classes, positions)
    weight = np.exp(rng.uniform(-20, 20, n_classes))
    of_target = np.expand_dims(target, 1)
    x = np.log(tiny / weight[of_target]) + rng.uniform(-2, 4, shape)
    np.put_along_axis(x, of_target, 0, 1)
    x = x.astype(dtype)
    grad = cross_entropy(x, target, weight=weight, reduction="sum", return_grad=True)[1]
    e = np.exp(x.astype(np.longdouble))
    exact = weight[of_target] * e / e.sum(1, keepdims=True)
    others = np.arange(n_classes).reshape(-1, *[1] * (len(shape) - 2)) != of_target
    grad, exact = grad[others], exact[others]
    assert (grad[exact > tiny * 0.99] == 0).any()
    assert (exact[grad == 0] <= np.sqrt(2) * tiny * (1 + 1e-4)).all()
    assert ((grad == 0) | (grad >= tiny)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_of_large_logits(dtype):
    logits = np.full((1, 2), 1e8, dtype)
    assert_allclose(cross_entropy(logits, [1]), np.log(2), rtol=1e-6)
    assert_allclose(linear_cross_entropy(np.ones((1, 1), dtype), logits.T.copy(), [1]), np.log(2), rtol=1e-6)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_small_arrays_in_one_step(isa, dtype, reduction):
    """A given n_threads takes the steps of all other arrays."""
    rng = np.random.default_rng(0)
    for n, n_classes in [(8, 7), (1, 1), (300, 20)]:
        x, target = rng.standard_normal((n, n_classes)).astype(dtype), rng.integers(0, n_classes, n)
        one = cross_entropy(x, target, reduction=reduction, return_grad=True)
        other = cross_entropy(x, target, reduction=reduction, return_grad=True, n_threads=1)
        assert one[0] == other[0] == cross_entropy(x, target, reduction=reduction)
        assert type(one[0]) is type(other[0])
        np.testing.assert_array_equal(one[1], other[1])
        target[0] = -100
        assert cross_entropy(x, target, reduction="sum") == cross_entropy(x, target, reduction="sum", n_threads=1)
        target[0] = n_classes
        with pytest.raises(ValueError, match="target must be from 0"):
            cross_entropy(x, target)
    with pytest.raises(ValueError, match="reduction"):
        cross_entropy(x, target, reduction="average")
