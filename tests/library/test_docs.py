"""The documentation speaks of tests that exist."""

import re
from pathlib import Path

import pytest

from fastsoftmax import metrics

ROOT = Path(__file__).parents[2]


def test_the_page_of_common_problems_names_tests_that_exist():
    path = ROOT / "docs" / "common_problems.md"
    if not path.exists():
        pytest.skip("no docs beside the tests")
    lines = [line for line in path.read_text().splitlines() if re.match(r"\| *\d+ *\|", line)]
    assert [int(line.split("|")[1]) for line in lines] == list(range(1, 29))
    for line in lines:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", line)
        assert tests, line
        for file, test in tests:
            source = (ROOT / "tests" / "library" / file).read_text()
            assert re.search(rf"^def {test}\(", source, re.MULTILINE), f"{file} has no {test}"


def test_a_page_names_all_metrics():
    path = ROOT / "docs" / "prediction.md"
    if not path.exists():
        pytest.skip("no docs beside the tests")
    section = path.read_text().split("## Measure predictions")[1]
    assert set(metrics.__all__) <= set(re.findall(r"[a-z]\w+", section))
