"""The script behind docs/cost_model.md: its formulas against sums by hand, and the page against what it prints."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

CLONE = Path(__file__).parents[2]
study = SimpleNamespace(**runpy.run_path(CLONE / "benches" / "studies" / "cost_model.py"))
SMALL = study.Sizes(K=1000, D=100, d=10, e=2, B=8, S=4, c=5, k=5)
ONE = study.Machine(cores=1, flops=1e9, bytes=1e9, step_seconds=0.5)


def test_the_page_has_the_tables_of_the_script():
    page = (CLONE / "docs" / "cost_model.md").read_text()
    for table in (study.compared(json.loads(study.CURVES.read_text())), *study.shared(study.LARGE, study.SERVER)):
        assert table in page, "python -m benches.studies.cost_model prints the tables of docs/cost_model.md"
    s = study.LARGE
    u, C = study.different(s.D, s.B * s.e), study.different(s.K, s.B, s.S)
    assert f"u = {u:,.0f} and C = {C:,.0f}." in page


def test_work_by_hand():
    forward, backward, again = study.head(SMALL, 1000)
    assert forward == (8 * 1000 * (20 + 16), 4 * 1000 * 11 + 4 * 8000, 0)
    assert backward == (4 * 8 * 1000 * 10 + 8 * 1000 * 10, 2 * 4 * 1000 * 11 + 4 * 4 * 1000 + 4 * 8000, 0)
    assert again == (0, 0, 0)
    n_logits = 2 * study.WORKING_MEMORY // 4  # half of which are kept
    assert study.two_passes(n_logits, 10, 1e6, 0, 0)[2] == (n_logits / 2 * 36, 5e5, 0)


def test_time_is_that_of_the_slowest_resource():
    assert study.computing([(2e9, 1e9, 0), (1e9, 3e9, 0)], ONE) == (5.5, "memory bandwidth")
    assert study.computing([(0, 0, 1e9)], ONE) == (pytest.approx(9.5), "look-ups")


def test_traffic_by_hand():
    m = ONE._replace(network=1.0, latency=1.0)
    received = 240 + 144 + 192 + 480  # hidden vectors, rows, sums, dh: three quarters from others
    assert study.sending(study.full, SMALL, 4, m) == (received, 12)
    assert study.sending(study.top, SMALL, 4, m) == (240 + 8 * (5 * 12 + 16) * 0.75, 4)
    assert study.sending(study.support, SMALL, 1, m) == (0, 0)


def test_memory_by_hand():
    stored = study.memory(study.LARGE._replace(K=10**6, D=10**5, c=10), 1)
    assert stored["low rank, to train by sampled softmax"] == 575_600_000 + 24 * 10**6  # docs/large_models.md: 576 MB
    assert stored["low rank, int8, to predict"] == 128_000_000 + 12_800_000 + 4_400_000 + 4_000_000
    assert stored["sparse direct term, to train"] == 20 * 10**6 + 4 * (10**5 + 1) + 12 * 10**6


def test_different_items_are_those_of_all_items_one_by_one():
    ids = np.arange(1, 100_001)
    p, q = ids**-1.0, ids**-0.75
    expected = np.sum(1 - np.exp(-300 * p / p.sum() - 500 * q / q.sum()))
    assert study.different(100_000, 300, 500) == pytest.approx(expected, rel=1e-4)
