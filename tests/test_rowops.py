"""The leaf loops' own exponential, and the choice of instruction set."""

import os
import subprocess
import sys

import mpmath
import numpy as np
import pytest

from fastsoftmax import _rowops

MAX_ULP = 1.2


def vector_exp(x):
    y = np.empty_like(x)
    _rowops.exp(x, y)
    return y


def ulps(y, exact):
    """|y - exact| in units of the last place of a normal number of y's dtype; `exact` is longdouble."""
    spacing = np.spacing(np.abs(exact).astype(y.dtype)).astype(np.longdouble)
    return np.abs(y.astype(np.longdouble) - exact) / spacing


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request):
    return request.param


def exp_range(dtype):
    """Arguments whose exponential is a normal, finite number."""
    info = np.finfo(dtype)
    return np.log(info.tiny.astype(np.longdouble)), np.log(info.max.astype(np.longdouble))


def test_exp_error(isa, dtype):
    low, high = exp_range(dtype)
    grid = np.linspace(low, high, 500_001).astype(dtype)
    near_zero = np.geomspace(1e-30, 1, 50_001).astype(dtype)
    half_way = ((np.arange(-120, 120) + 0.5) * np.log(2)).astype(dtype)  # where the reduction rounds up or down
    x = np.concatenate([grid[1:-1], near_zero, -near_zero, half_way])
    assert ulps(vector_exp(x), np.exp(x.astype(np.longdouble))).max() < MAX_ULP


def test_exp_error_against_mpmath(isa, dtype):
    low, high = exp_range(dtype)
    x = np.random.default_rng(0).uniform(float(low), float(high), 300).astype(dtype)
    with mpmath.workdps(50):
        exact = np.array([np.longdouble(mpmath.nstr(mpmath.exp(float(v)), 30)) for v in x])
    assert ulps(vector_exp(x), exact).max() < MAX_ULP


def test_exp_edges(isa, dtype):
    low, high = exp_range(dtype)
    expected = {0.0: 1, np.inf: np.inf, -np.inf: 0, np.nan: np.nan, high * 1.001: np.inf, low * 1.001: 0}
    expected |= {np.finfo(dtype).max: np.inf, -np.finfo(dtype).max: 0}
    x = np.array(list(expected), dtype=dtype)
    np.testing.assert_array_equal(vector_exp(x), list(expected.values()))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 15, 16, 17, 31, 33])
def test_exp_of_any_length_writes_nothing_else(isa, dtype, n):
    x = np.linspace(-3, 3, n, dtype=dtype)
    y = np.full(n + 20, 7, dtype=dtype)
    _rowops.exp(x, y[:n])
    np.testing.assert_allclose(y[:n], np.exp(x), rtol=1e-6)
    assert (y[n:] == 7).all()


def python(code, isa):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "FASTSOFTMAX_ISA": isa}, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", _rowops.available())
def test_environment_selects(name):
    result = python("from fastsoftmax import _rowops; print(_rowops.selected())", name)
    assert result.stdout.strip() == name, result.stderr


def test_environment_with_unknown_name():
    result = python("import fastsoftmax._rowops", "mmx")
    assert result.returncode != 0
    assert "ImportError: FASTSOFTMAX_ISA='mmx': this build has baseline" in result.stderr


def test_select_unknown_keeps_the_old():
    before = _rowops.selected()
    with pytest.raises(ImportError, match="'mmx'"):
        _rowops.select("mmx")
    assert _rowops.selected() == before
