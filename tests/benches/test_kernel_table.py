"""The table of kernels: what a run that is stopped leaves behind, and what is kept of earlier ones."""

import contextlib
from types import SimpleNamespace

import pytest

from fastsoftmax.benches.kernels import measure, problems, table

ALL = SimpleNamespace(family=None, problem="", quick=False)


@pytest.fixture
def cases(monkeypatch):
    """Two families of cases, whose measurement is their number and how often it was made; the number 13 is Ctrl-C."""
    numbers = {"first": [1, 2], "second": [3, 4]}
    calls = []

    def measured(case, budget):
        calls.append(case.number)
        if case.number == 13:
            raise KeyboardInterrupt
        return {"label": case.label, "seconds": len(calls)}

    def made(family):
        return lambda: [SimpleNamespace(label=f"case {n}", number=n, quick=n % 2 == 1) for n in numbers[family]]

    monkeypatch.setattr(measure, "measure", measured)
    monkeypatch.setattr(table, "CASES", {family: made(family) for family in numbers})
    return numbers


def run(options, stored):
    saved = [stored]
    with contextlib.suppress(KeyboardInterrupt):
        table.measure_all(options, stored, saved.append)
    return saved[-1]


def labels(families):
    return {family: [r["label"] for r in records] for family, records in families.items()}


def test_a_stopped_run_keeps_what_it_has_measured(cases):
    cases["second"] = [3, 13]
    assert labels(run(ALL, {})) == {"first": ["case 1", "case 2"], "second": ["case 3"]}


def test_a_later_run_measures_only_what_it_is_asked_for(cases):
    stored = run(ALL, {})
    cases["first"] = [2, 1]  # the order is that of the cases, and a case that is gone leaves no record
    cases["second"] = [4]
    again = run(SimpleNamespace(family=["first"], problem="case 1", quick=False), stored)
    assert labels(again) == {"first": ["case 2", "case 1"], "second": ["case 3", "case 4"]}
    assert again["first"][0] in stored["first"] and again["first"][1] not in stored["first"]
    assert labels(run(SimpleNamespace(family=["second"], problem="", quick=False), stored))["second"] == ["case 4"]


def test_quick_leaves_the_records_of_other_cases(cases):
    stored = run(ALL, {})
    quick = run(SimpleNamespace(family=None, problem="", quick=True), stored)
    assert labels(quick) == labels(stored)
    assert [r in stored["first"] for r in quick["first"]] == [False, True]


def test_inputs_are_kept_until_they_are_forgotten():
    made = problems.rowwise((2, 3), "f")
    assert problems.rowwise((2, 3), "f") is made
    problems.forget()
    assert problems.rowwise((2, 3), "f") is not made
