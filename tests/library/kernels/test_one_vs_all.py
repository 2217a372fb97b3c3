"""The loops over blocks of one-vs-all problems against their float64 twins, between guard bytes."""

import numpy as np
import pytest
import reference
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.kernels import one_vs_all as kernel

WIDTHS = [16, 32, 48, 64]
N_ROWS = [0, 1, 63, 64, 65, 200]
LOSSES = list(kernel.KINDS)
GUARD = 64  # elements before and behind an array
TOLERANCES = {"float32": 2e-5, "float64": 1e-12}

DTYPES = list(TOLERANCES)


@pytest.fixture
def guarded():
    """Makes arrays full of NaN, or copies, between guards that are checked at the end."""
    wholes = []

    def make(shape, dtype, values=np.nan):
        n = int(np.prod(shape))
        whole = np.full(n + 2 * GUARD, 7, dtype)
        wholes.append(whole)
        a = whole[GUARD : GUARD + n].reshape(shape)
        a[...] = values
        return a

    yield make
    for whole in wholes:
        assert (whole[:GUARD] == 7).all() and (whole[-GUARD:] == 7).all()


def positives_of(is_positive):
    """The CSR rows of positives; those of a row are in no order."""
    rows, problems = np.nonzero(is_positive)
    order = np.lexsort((np.random.default_rng(0).random(len(rows)), rows))
    indptr = np.concatenate([[0], np.cumsum(is_positive.sum(axis=1))])
    return indptr.astype(np.int64), problems[order].astype(np.int32)


def derivatives(loss, z, is_positive, row_weight, positive_weight, guarded):
    shape, dtype = z.shape, z.dtype
    slopes, curvatures = guarded(shape, dtype), guarded(shape, dtype)
    losses = guarded(shape[1:], "float64")
    kernel.derivatives(
        kernel.KINDS[loss], z, *positives_of(is_positive), row_weight, positive_weight, slopes, curvatures, losses
    )
    return losses, slopes, curvatures


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "share": [0.0, 0.1, 1.0], "n_rows": N_ROWS, "loss": LOSSES})
def test_derivatives(isa, share, n_rows, loss, width, dtype, guarded):
    rng = np.random.default_rng(0)
    z = (3 * rng.standard_normal((n_rows, width))).astype(dtype)
    is_positive = rng.random(z.shape) < share
    row_weight = (rng.random(n_rows) * (rng.random(n_rows) < 0.8)).astype(dtype)
    positive_weight = (3 * rng.random(width)).astype(dtype)
    positive_weight[::5] = 0
    found = derivatives(loss, z, is_positive, row_weight, positive_weight, guarded)
    expected = reference.binary_derivatives(loss, z, is_positive, row_weight, positive_weight)
    for ours, truth in zip(found, expected, strict=True):
        assert_allclose(ours, truth, rtol=TOLERANCES[dtype], atol=1e-30)


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "n_rows": [1, 66], "loss": LOSSES})
def test_a_positive_in_each_place(isa, n_rows, loss, width, dtype, guarded):
    """Its row and its problem change, and nothing else."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n_rows, width)).astype(dtype)
    ones = np.ones(n_rows, dtype), np.ones(width, dtype)
    nowhere = np.zeros(z.shape, bool)
    _, base, _ = derivatives(loss, z, nowhere, *ones, guarded)
    for row in {0, n_rows - 1}:
        for problem in range(width):
            is_positive = nowhere.copy()
            is_positive[row, problem] = True
            losses, slopes, _ = derivatives(loss, z, is_positive, *ones, guarded)
            assert_array_equal(slopes != base, is_positive)
            expected = reference.binary_derivatives(loss, z, is_positive, *ones)
            assert_allclose(losses, expected[0], rtol=TOLERANCES[dtype])
            assert_allclose(slopes, expected[1], rtol=TOLERANCES[dtype], atol=1e-30)


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "weight": [0.0, 1.0, 1e-20], "loss": LOSSES})
def test_extreme_logits(isa, weight, loss, width, dtype, guarded):
    """Neither a positive of a large logit costs anything, nor what has no weight, and infinite losses are not NaN."""
    z = np.resize([0, -0.0, 1, -1, 1e-30, 88.5, -88.5, 104, -104, 800, -800, 1e18, -1e18, 1e30, -1e30], (4, width))
    z = z.astype(dtype)
    rng = np.random.default_rng(0)
    for is_positive in (rng.random(z.shape) < 0.5, z > 2, z < -2):
        row_weight, positive_weight = np.full(4, weight, dtype), np.ones(width, dtype)
        losses, slopes, curvatures = derivatives(loss, z, is_positive, row_weight, positive_weight, guarded)
        expected = reference.binary_derivatives(loss, z, is_positive, row_weight, positive_weight)
        with np.errstate(over="ignore"):
            assert_allclose(losses, expected[0].astype(dtype), rtol=TOLERANCES[dtype], atol=1e-30)
        assert_allclose(slopes, expected[1], rtol=TOLERANCES[dtype], atol=1e-30)
        assert_allclose(curvatures, expected[2], rtol=TOLERANCES[dtype], atol=1e-30)


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "loss": LOSSES})
def test_infinite_logits(isa, loss, width, dtype, guarded):
    z = np.resize(np.array([np.inf, -np.inf], dtype), (3, width))
    ones = np.ones(3, dtype), np.ones(width, dtype)
    losses, slopes, curvatures = derivatives(loss, z, z > 0, *ones, guarded)
    for a in (losses, slopes, curvatures):
        assert_array_equal(a, 0)
    losses, slopes, _ = derivatives(loss, z, z < 0, *ones, guarded)
    assert_array_equal(losses, np.inf)
    assert_array_equal(np.sign(slopes), np.sign(z))


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "loss": LOSSES})
def test_NaN_stays_where_it_is(isa, loss, width, dtype, guarded):
    z = np.ones((70, width), dtype)
    z[66, 3] = z[1, width - 1] = np.nan
    is_positive = np.zeros(z.shape, bool)
    is_positive[:, width - 1] = True
    ones = np.ones(70, dtype), np.ones(width, dtype)
    losses, slopes, _ = derivatives(loss, z, is_positive, *ones, guarded)
    assert_array_equal(np.flatnonzero(np.isnan(losses)), [3, width - 1])
    assert_array_equal(np.isnan(slopes), np.isnan(z))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_derivatives_against_differences(loss, width, dtype, guarded):
    rng = np.random.default_rng(0)
    z, h = rng.standard_normal((9, width)), 1e-5
    z[np.abs(np.abs(z) - 1) < 1e-3] = 0  # the squared hinge bends there
    is_positive = rng.random(z.shape) < 0.3
    weights = rng.random(9), rng.random(width)
    _, slopes, curvatures = derivatives(loss, z, is_positive, *weights, guarded)
    ahead, behind = (derivatives(loss, z + s * h, is_positive, *weights, guarded) for s in (1, -1))
    assert_allclose((ahead[0] - behind[0]) / (2 * h), slopes.sum(axis=0), rtol=1e-7)
    assert_allclose((ahead[1] - behind[1]) / (2 * h), curvatures, rtol=1e-6, atol=1e-9)


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "scale": [0.0, 1.0, -0.3], "n_rows": N_ROWS})
def test_add_and_dot(isa, scale, n_rows, width, dtype, guarded):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, n_rows, width)).astype(dtype)
    out, dots = guarded(b.shape, dtype, b), guarded((width,), "float64")
    kernel.add_and_dot(a, out, scale, dots)
    expected = b.astype(np.float64) + scale * a
    assert_allclose(out, expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
    rounding = TOLERANCES[dtype] * np.abs(a * expected).sum(axis=0)
    assert (np.abs(dots - (a * expected).sum(axis=0)) <= rounding).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_dot_of_an_array_with_itself(isa, width, dtype, guarded):
    a = np.random.default_rng(0).standard_normal((70, width)).astype(dtype)
    dots = guarded((width,), "float64")
    kernel.add_and_dot(a, a, 0.0, dots)
    assert_allclose(dots, np.square(a, dtype="float64").sum(axis=0), rtol=TOLERANCES[dtype])


@covering({"isa": ISAS, "width": WIDTHS, "dtype": DTYPES, "n": N_ROWS})
def test_a_step_of_conjugate_gradients(isa, n, width, dtype, guarded):
    rng = np.random.default_rng(0)
    direction, product, x, r = rng.standard_normal((4, n, width)).astype(dtype)
    length, ratio, inverse = (rng.random(size).astype(dtype) for size in (width, width, n))
    length[::3], ratio[::4] = 0, 0
    solution, residual, dots = (
        guarded(x.shape, dtype, x),
        guarded(r.shape, dtype, r),
        guarded((width,), "float64"),
    )
    kernel.advance(length, direction, product, inverse, solution, residual, dots)
    close = {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    assert_allclose(solution, x + length.astype(np.float64) * direction, **close)
    left = r - length.astype(np.float64) * product
    assert_allclose(residual, left, **close)
    assert_allclose(dots, (inverse[:, None] * left**2).sum(axis=0), **close)
    assert_array_equal(solution[:, ::3], x[:, ::3])

    turned = guarded(x.shape, dtype, direction)
    kernel.turn(ratio, residual, inverse, turned)
    expected = inverse[:, None].astype(np.float64) * residual + ratio * direction
    assert_allclose(turned, expected, **close)
