"""The shape of the source: small files, few modules at the top, packages that say what they may import.

Which imports are allowed is import-linter's to check: its contracts are in pyproject.toml.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".pyx", ".pxd", ".h", ".c"}
MAX_LINES = 400
MAX_MODULES = 14

FILES = sorted(
    path
    for folder in ("fastsoftmax", "src", "tests", "benches")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in SUFFIXES
)
PACKAGES = sorted(
    path.parent
    for path in (ROOT / "fastsoftmax").glob("*/**/__init__.py")  # not the facade, which offers the public names
    if "benches" not in path.parts  # where these are installed or linked
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def test_all_source_is_seen():
    """Were the folders elsewhere, the tests below would have nothing to look at."""
    for expected in ("fastsoftmax/linear.py", "src/dense/softmax.pyx", "tests/conftest.py", "benches/__main__.py"):
        assert ROOT / expected in FILES
    assert ROOT / "fastsoftmax" / "validation" in PACKAGES


def test_files_are_small():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_few_modules_at_the_top():
    modules = sorted(path.name for path in (ROOT / "fastsoftmax").glob("*.py"))
    assert len(modules) <= MAX_MODULES, modules


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_packages_say_what_they_may_import(package):
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert docstring and "May import: " in docstring


def test_the_library_prints_nothing_on_standard_output():
    """That is for the results of the command; what `verbose` says goes to standard error."""
    prints = []
    for path in FILES:
        folder, room, *_ = name_of(path).split("/")
        if folder != "fastsoftmax" or path.suffix != ".py" or room in ("cli", "benches"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print":
                prints.append((name_of(path), node.lineno, [keyword.arg for keyword in node.keywords]))
    assert prints and [place for place in prints if "file" not in place[2]] == []
