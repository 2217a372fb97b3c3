"""The measured curves, on points so small that only their form is seen."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax.benches import curves
from fastsoftmax.benches.curves import classes, memory, negatives, ours, problem, rates, record, threads, torchs

KEYS = {"series", "task", "x", "y", "low", "high", "unit", "rounds"}


def _check(records, *more):
    for r in json.loads(json.dumps(records)):
        assert r.keys() == KEYS | set(more)
        assert 0 <= r["low"] <= r["y"] <= r["high"] and r["rounds"] >= 1


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(classes, "QUICK_CLASSES", (200,))
    monkeypatch.setattr(classes, "QUICK_BUDGET", 0.0)
    monkeypatch.setattr(threads, "QUICK_BUDGET", 0.0)
    monkeypatch.setattr(threads, "N_CLASSES", dict.fromkeys(threads.N_CLASSES, 2000))
    monkeypatch.setattr(torchs, "INSTALLED", False)
    monkeypatch.setattr(memory, "QUICK_CLASSES", (200,))


def test_cost_over_classes_has_all_series_and_says_what_is_left_out(small):
    lines, left_out = [], []
    records = classes.measure(True, lines.append, left_out)
    _check(records)
    assert [r["series"] for r in records if r["task"] == "training"] == list(classes.GROUPS[0][1])
    assert [r["series"] for r in records if r["task"] == "prediction"] == [ours.TOP, ours.TOP_SUPPORT]
    assert len(lines) == len(records) and "200 classes" in lines[0]
    assert {r["series"]: r["reason"] for r in left_out} == dict.fromkeys(
        [torchs.FULL, torchs.SAMPLED, torchs.TOP], "torch is not installed"
    )


def test_what_does_not_fit_is_left_out(small, monkeypatch):
    monkeypatch.setattr(classes, "QUICK_BYTES", 50 << 20)
    left_out = []
    records = classes.measure(True, lambda line: None, left_out)
    assert ours.LINEAR not in {r["series"] for r in records}
    assert "GiB" in next(r["reason"] for r in left_out if r["series"] == ours.LINEAR)


@pytest.mark.parametrize("series", [torchs.FULL, torchs.SAMPLED, torchs.TOP])
def test_torch_does_the_same(series):
    pytest.importorskip("torch")
    model = problem.low_rank(300)
    result = torchs.call(series, model, problem.classes(300))()
    if series == torchs.TOP:
        class_ids, log_proba = ours.call(ours.TOP, model, None)()
        assert np.array_equal(result[0].numpy(), class_ids)
        np.testing.assert_allclose(result[1].numpy(), log_proba, rtol=1e-4, atol=1e-4)


def test_bytes_of_models_are_those_expected():
    for series, make in ours.MODELS.items():
        expected, model = ours.expected_bytes(series, 100), make(100)
        assert abs(problem.model_bytes(model) - expected) <= 8 * 100 + 4


def test_cost_over_threads(small):
    lines = []
    records = threads.measure(True, lines.append, [1, 2])
    assert sum("% serial, so 16 threads" in line for line in lines) == len(threads.N_CLASSES)
    _check(records, "n_classes")
    assert [r["x"] for r in records] == [1, 2] * len(threads.N_CLASSES)
    assert threads.default_list()[0] == 1


def test_amdahls_law():
    """Of 10 seconds, 2 are serial: two threads take 6, and any number 2 at least."""
    records = [
        {"series": s, "x": x, "y": y} for s, x, y in [("a", 1, 10.0), ("a", 2, 6.0), ("b", 1, 1.0), ("c", 2, 1.0)]
    ]
    assert record.amdahl(records) == {"a": pytest.approx(0.2)}
    assert record.speed_up(0.2, 2) == pytest.approx(10 / 6)
    assert record.speed_up(0.0, 16) == 16 and record.speed_up(1.0, 16) == 1
    assert record.serial_share({"y": 1.0}, {"y": 0.4}) == 0 and record.serial_share({"y": 1.0}, {"y": 1.1}) == 1
    assert " ".join(record.share_line("a", 0.2).split()) == "a 20.0 % serial, so 16 threads: 4.0 times one"


def test_memory_over_classes_in_processes_of_their_own(small, monkeypatch):
    monkeypatch.setattr(memory, "SERIES", (ours.TOP,))
    left_out = []
    records = memory.measure(True, lambda line: None, left_out)
    assert len(records) + len(left_out) == 1  # by system
    _check(records, "model_bytes")


def test_a_process_that_fails_is_left_out(small, monkeypatch):
    monkeypatch.setattr(memory, "SERIES", ("no such series",))
    monkeypatch.setattr(memory, "_why_not", lambda *about: "")
    left_out = []
    assert memory.measure(True, lambda line: None, left_out) == []
    assert left_out[0]["x"] == 200 and "exit status 1: KeyError" in left_out[0]["reason"]


def test_cost_over_negatives(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = sparse.random(600, 40, density=0.1, random_state=0, format="csr", dtype="f"), rng.integers(0, 80, 600)
    data = SimpleNamespace(X=X, y=y, X_test=X[:50], y_test=y[:50])
    monkeypatch.setattr(negatives, "_tokens", lambda n_train: data)
    records = negatives.measure(True, lambda line: None)
    _check(records, "nll", "p_at_1_percent", "epochs", "n_classes")
    assert [(r["series"], r["x"]) for r in records] == [
        (negatives.UNIGRAM, 64),  # others are more than there are classes
        (negatives.IN_BATCH, 255),
        (negatives.FULL, 80),
    ]


def test_records_as_text():
    r = record.of_seconds("name", record.TRAINING, 1000, [1e-3, 3e-3, 2e-3], 100)
    assert (r["low"], r["y"], r["high"], r["rounds"]) == pytest.approx((10, 20, 30, 3))
    assert "1,000 classes" in record.line(r, "classes") and "20.0 µs" in record.line(r, "classes")


def test_rates_are_the_best_of_several():
    first = {"flops_per_second": 1.0, "smallest_step_seconds": 1.0, "available_bytes": None}
    best = rates.best(first, {"flops_per_second": 2.0, "smallest_step_seconds": 2.0, "available_bytes": None})
    assert best == {"flops_per_second": 2.0, "smallest_step_seconds": 1.0, "available_bytes": None}


def test_the_whole_is_json(small, monkeypatch):
    monkeypatch.setattr(negatives, "measure", lambda quick, progress: [])
    monkeypatch.setattr(memory, "SERIES", ())
    monkeypatch.setattr(curves.rates, "measure", lambda: {"cores": 2, "smallest_step_seconds": 1.0})
    result = curves.measure(True, lambda line: None, [1])
    assert set(json.loads(json.dumps(result))) >= {
        "cost_over_classes", "cost_over_negatives", "cost_over_threads", "memory_over_classes",
    }  # fmt: skip
