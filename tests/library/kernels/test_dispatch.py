"""The leaf loops' own exponential, and the choice of instruction set."""

import os
import subprocess
import sys
from functools import cache

import mpmath
import numpy as np
import pytest

from fastsoftmax import log_softmax, logsumexp, softmax
from fastsoftmax.kernels import dispatch

MAX_ULP = 1.2


def vector_exp(x):
    y = np.empty_like(x)
    dispatch.exp(x, y)
    return y


def mpmath_exp(x):
    """exp(x) in 50 digits, as the sum of two float64 arrays."""
    with mpmath.workdps(50):
        exact = [mpmath.exp(float(v)) for v in x]
        high = np.array([float(e) for e in exact])
        return high, np.array([float(e - h) for e, h in zip(exact, high.tolist(), strict=True)])


def errors(x, exact, exact_low=0):
    """Errors of exp(x) in units of the last place of x's dtype; the truth is exact + exact_low in float64."""
    return np.abs((vector_exp(x).astype(np.float64) - exact) - exact_low) / np.spacing(exact.astype(x.dtype))


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request):
    return request.param


def smallest_result(dtype):
    """The smallest result but 0: exp has no subnormal results."""
    return np.sqrt(2) * np.finfo(dtype).tiny.astype(np.float64)


@cache
def whole_range(dtype, n):
    """n evenly spaced arguments from the smallest result to the largest, and those where something special happens."""
    info = np.finfo(dtype)
    low, high = np.log(smallest_result(dtype)), np.log(info.max.astype(np.float64))
    middles = (np.arange(np.ceil(low / np.log(2)), np.floor(high / np.log(2))) + 0.5) * np.log(2)  # half way
    small = np.geomspace(info.smallest_subnormal, 1, 1001, dtype=dtype)
    ends = np.concatenate([low + np.geomspace(1e-5, 1, 100) * abs(low), high - np.geomspace(1e-5, 1, 100) * high])
    special = [middles, middles * (1 - info.eps), middles * (1 + info.eps), small, -small, ends]
    x = np.concatenate([np.linspace(low, high, n + 2)[1:-1], *special]).astype(dtype)
    return x[(np.exp(x.astype(np.float64)) > smallest_result(dtype) * (1 + 1e-5)) & (x <= np.log(info.max))]


def test_exp_error_in_float32(isa):
    x = whole_range(np.float32, 2_000_000)
    assert errors(x, np.exp(x.astype(np.float64))).max() < MAX_ULP  # exact to 1e-9 units


@cache
def mpmath_grid(dtype):
    x = whole_range(dtype, 20_000)
    return x, *mpmath_exp(x)


def test_exp_error_against_mpmath(isa, dtype):
    assert errors(*mpmath_grid(dtype)).max() < MAX_ULP


def test_exp_edges(isa, dtype):
    info = np.finfo(dtype)
    largest = np.log(info.max)
    while float(largest) > mpmath.log(float(info.max)):
        largest = np.nextafter(largest, dtype(0))
    expected = {0.0: 1, np.inf: np.inf, -np.inf: 0, np.nan: np.nan, info.max: np.inf, -info.max: 0}
    expected |= {info.smallest_subnormal: 1, -info.smallest_subnormal: 1, np.nextafter(largest, dtype(np.inf)): np.inf}
    x = np.array(list(expected), dtype=dtype)
    np.testing.assert_array_equal(vector_exp(x), list(expected.values()))
    assert errors(np.array([largest]), *mpmath_exp([largest])) < MAX_ULP


def test_exp_has_no_subnormal_results(isa, dtype):
    least = smallest_result(dtype)
    x = np.linspace(np.log(least) - 30, np.log(least) + 1, 100_001).astype(dtype)
    y, exact = vector_exp(x), np.exp(x.astype(np.longdouble))
    assert ((y == 0) | (y > least * (1 - 1e-6))).all()
    np.testing.assert_array_equal((y > 0)[exact > least * (1 + 1e-4)], True)
    np.testing.assert_array_equal(y[exact < least * (1 - 1e-4)], 0)


@pytest.mark.parametrize("sign", [0, 1])
def test_any_nan_stays(isa, dtype, sign):
    """NaNs carry bits, which must not become part of an exponent."""
    info = np.finfo(dtype)
    mantissa = np.arange(1, 2**12, dtype=np.int64) | np.int64(1) << info.nmant - 1
    exponent = (np.int64(2) ** info.iexp - 1 + sign * np.int64(2) ** info.iexp) << info.nmant
    x = (mantissa | exponent).astype(f"i{info.dtype.itemsize}").view(dtype)
    assert np.isnan(x).all()
    assert np.isnan(vector_exp(x)).all()
    rows = np.zeros((len(x), 37), dtype)
    rows[:, 20] = x
    for y in (logsumexp(rows, 1)[:, None], softmax(rows, 1), log_softmax(rows, 1), logsumexp(rows.T.copy(), 0)):
        assert np.isnan(y).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 15, 16, 17, 31, 33])
def test_exp_of_any_length_writes_nothing_else(isa, dtype, n):
    x = np.linspace(-3, 3, n, dtype=dtype)
    y = np.full(n + 20, 7, dtype=dtype)
    dispatch.exp(x, y[:n])
    np.testing.assert_allclose(y[:n], np.exp(x), rtol=1e-6)
    assert (y[n:] == 7).all()


def python(code, isa):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "FASTSOFTMAX_ISA": isa}, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", dispatch.available())
def test_environment_selects(name):
    result = python("from fastsoftmax.kernels import dispatch; print(dispatch.selected())", name)
    assert result.stdout.strip() == name, result.stderr


def test_environment_in_capitals():
    result = python("from fastsoftmax.kernels import dispatch; print(dispatch.selected())", "Baseline ")
    assert result.stdout.strip() == "baseline", result.stderr


def test_environment_with_unknown_name():
    result = python("import fastsoftmax.kernels.dispatch", "mmx")
    assert result.returncode != 0
    assert "ImportError: FASTSOFTMAX_ISA='mmx': this build has baseline" in result.stderr


def test_select_unknown_keeps_the_old():
    before = dispatch.selected()
    with pytest.raises(ImportError, match="'mmx'"):
        dispatch.select("mmx")
    assert dispatch.selected() == before
