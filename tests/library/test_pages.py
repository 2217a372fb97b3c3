"""The README and the pages of docs/: every Python block runs, and the API reference has every public name."""

import importlib
import re
from pathlib import Path

import pytest

import fastsoftmax

ROOT = Path(__file__).parents[2]
STEPS = [
    "tutorial.md",
    "explanations.md",
]  # pages whose blocks are steps of one program; elsewhere each block runs by itself
PROGRAMS = ["dask.md", "distributed.md"]  # test_docs.py runs these, as programs of several processes
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks():
    """(page, number of the block or "steps", source) for all that runs."""
    for page in PAGES:
        blocks = BLOCK.findall(page.read_text(encoding="utf-8")) if page.exists() else []
        if page.name in STEPS:
            yield page.name, "steps", "\n".join(blocks)
        elif page.name not in PROGRAMS:
            yield from ((page.name, number, block) for number, block in enumerate(blocks))


@pytest.mark.parametrize(
    ("page", "source"), [pytest.param(page, source, id=f"{page}-{number}") for page, number, source in _blocks()]
)
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # of torch's own optimisers
def test_every_block_runs(page, source, tmp_path, monkeypatch):
    for package in ("torch", "usearch", "pandas", "mpi4py", "onnx", "onnxruntime"):
        if re.search(rf"^ *(import|from) {package}\b|\.{package} import", source, re.MULTILINE):
            pytest.importorskip({"onnx": "skl2onnx"}.get(package, package))
    monkeypatch.chdir(tmp_path)
    exec(compile(source, page, "exec"), {"__name__": "page"})


def test_every_block_is_python_that_runs():
    """Fences that are not marked as Python would not be run: there are none in disguise."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        for language, block in re.findall(r"^```([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            assert language == "python" or language.startswith("{"), f"{page.name}: ```{language}\n{block}"


def _reference():
    """The names that docs/api/index.rst lists."""
    path = ROOT / "docs" / "api" / "index.rst"
    if not path.exists():
        pytest.skip("no docs beside the tests")
    return re.findall(r"^   (fastsoftmax\.[\w.]+)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_reference_has_every_public_name():
    listed = _reference()
    assert len(listed) == len(set(listed))
    modules = fastsoftmax._MODULES
    public = {f"fastsoftmax.{name}" for name in fastsoftmax.__all__ if name not in modules}
    at_the_top = {id(getattr(fastsoftmax, name)) for name in fastsoftmax.__all__}
    for module in modules:
        names = getattr(fastsoftmax, module).__all__
        public |= {
            f"fastsoftmax.{module}.{n}" for n in names if id(getattr(getattr(fastsoftmax, module), n)) not in at_the_top
        }
    twice = {"fastsoftmax.NGramFeatures", "fastsoftmax.features.NGramFeatures"}  # one class, listed with the features
    listed = {name for name in listed if not name.startswith(("fastsoftmax.torch.", "fastsoftmax.onnx."))}
    assert listed - twice == public - twice


@pytest.mark.parametrize(("name", "needs"), [("torch", "torch"), ("onnx", "skl2onnx")])
def test_the_reference_has_every_public_name_of_extras(name, needs):
    pytest.importorskip(needs)
    module = importlib.import_module(f"fastsoftmax.{name}")
    listed = {public for public in _reference() if public.startswith(f"fastsoftmax.{name}.")}
    assert listed == {f"fastsoftmax.{name}.{public}" for public in module.__all__}
