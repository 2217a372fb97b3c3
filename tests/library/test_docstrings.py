"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import fastsoftmax

PACKAGE = Path(fastsoftmax.__file__).parent


def _modules_with_examples():
    """Names of the modules whose source has an example."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8") and "benches" not in path.parts:
            yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", list(_modules_with_examples()))
def test_examples(name, tmp_path, monkeypatch):
    for package, needs in {"torch": "torch", "onnx": "skl2onnx"}.items():
        if name.startswith(f"fastsoftmax.{package}"):
            pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried and not failed
