"""The documentation speaks of tests that exist."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastsoftmax
from fastsoftmax import metrics

INSTALLED = str(Path(fastsoftmax.__file__).parents[1])  # a checkout need not be built
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
    assert set(metrics.__all__) <= set(re.findall(r"[A-Za-z]\w+", section))


def _blocks(page):
    """The Python blocks of a page."""
    path = ROOT / "docs" / page
    if not path.exists():
        pytest.skip("no docs beside the tests")
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _output(block, folder):
    """What a program that is a block of a page prints."""
    (folder / "program.py").write_text(block, encoding="utf-8")
    options = {"cwd": folder, "capture_output": True, "text": True, "timeout": 300}
    run = subprocess.run([sys.executable, "program.py"], **options, env=os.environ | {"PYTHONPATH": INSTALLED})
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_program_of_the_page_about_ranks(tmp_path):
    (block,) = _blocks("distributed.md")
    assert _output(block, tmp_path).startswith("50 classes, accuracy 0.")


def test_the_programs_of_the_page_about_explanations(tmp_path):
    output = _output("".join(_blocks("explanations.md")), tmp_path)
    assert output.startswith("'class_0': logit 1.9") and output.endswith("bias\n")


def test_the_program_of_the_page_about_language_models(tmp_path):
    (block,) = _blocks("language_models.md")
    perplexity, completion, samples = _output(block, tmp_path).splitlines()
    assert 1 < float(perplexity) < 1000 and len(completion.split()) >= 1 and samples.startswith("['")


def test_the_programs_of_the_page_about_dask(tmp_path):
    pytest.importorskip("distributed")
    predictions, training = _blocks("dask.md")
    assert _output(predictions, tmp_path).strip() == "(1000, 5) 1.0"
    if shutil.which("mpiexec") is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("no MPI")
    (tmp_path / "data.svm").write_text("1 1:1\n2 2:1\n" * 20)
    training = training.replace(
        '["mpiexec"', '["env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "mpiexec"'
    )
    assert "2 classes" in _output(training, tmp_path) and (tmp_path / "model").exists()


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_pages(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#[^)]*)?\)", text):
        assert not target or (ROOT / "docs" / target).exists(), f"{page} links to {target}"
