"""The kernels' benchmarks under pytest-benchmark: ``pytest benches --benchmark-only``."""

import pytest

from ..kernels import CASES
from ..kernels.case import OURS


def parameters():
    for family in CASES.values():
        for case in family():
            for name in case.implementations:
                yield pytest.param(case, name, id=f"{case.label}-{name}")
            for name in case.limits:
                yield pytest.param(case, name, id=f"{case.label}-limit: {name}")


_expected = {}  # of the last case, since the tests of a case follow each other


def _agreeing_call(case, name, inputs):
    """Return the call of an implementation, after checking that its result agrees with ours."""
    if name == OURS or case.label not in _expected:
        _expected.clear()
        call, _expected[case.label], _ = case.prepare(OURS, inputs)
        if name == OURS:
            return call
    try:
        return case.prepare(name, inputs, _expected[case.label])[0]
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.benchmark(max_time=0.3, min_rounds=3)
@pytest.mark.parametrize(("case", "name"), list(parameters()))
def test_bench(benchmark, case, name):
    benchmark.group = case.label
    inputs = case.inputs()
    if name in case.limits:
        call = case.limits[name](inputs)
    else:
        call = _agreeing_call(case, name, inputs)
    if case.is_large:
        benchmark.pedantic(call, rounds=1)
    else:
        benchmark(call)
