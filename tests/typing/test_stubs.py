"""The stubs have every public name, those of compiled modules are current, and the sample of user code runs.

That signatures agree with the stubs, parameter by parameter, is stubtest's to check, and that the sample has the types that
it should, mypy's: `.ci/run` calls both.
"""

import ast
import importlib.util
import inspect
import re
import runpy
from pathlib import Path

import pytest

import fastsoftmax

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = Path(fastsoftmax.__file__).parent
STUBS = sorted(path.relative_to(ROOT / "fastsoftmax") for path in (ROOT / "fastsoftmax").rglob("*.pyi"))
MODULES = {name: getattr(fastsoftmax, name) for name in fastsoftmax._MODULES}
PUBLIC = {
    f"{where}.{name}": getattr(owner, name)
    for where, owner in {"fastsoftmax": fastsoftmax, **MODULES}.items()
    for name in owner.__all__
    if inspect.isclass(getattr(owner, name)) or inspect.isfunction(getattr(owner, name))
}


def defined(body):
    """{name: node} of what a stub or a class of a stub defines, imports excepted."""
    names = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            names[node.target.id] = node
    return names


def stub_of(module):
    path = ROOT.joinpath(*module.split(".")).with_suffix(".pyi")
    assert path.exists(), f"{module} has no stub"
    return defined(ast.parse(path.read_text(encoding="utf-8")).body)


def members_in_stubs(kind):
    """What the stubs of a class and of its bases in the package define."""
    for base in kind.__mro__:
        if base.__module__.startswith("fastsoftmax") and base.__name__ in (stub := stub_of(base.__module__)):
            node = stub[base.__name__]
            yield from defined(node.body)
            for above in node.bases:  # bases that the stub alone has
                yield from defined(getattr(stub.get(getattr(above, "id", "")), "body", []))


def test_the_stub_of_the_facade_has_its_names():
    tree = ast.parse((ROOT / "fastsoftmax" / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(fastsoftmax.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_stubs_have_every_public_name(name):
    public = PUBLIC[name]
    assert public.__name__ in stub_of(public.__module__)
    if inspect.isclass(public):
        ours = [base for base in public.__mro__ if base.__module__.startswith("fastsoftmax")]
        members = {member for base in ours for member in vars(base) if not member.startswith("_")}
        requests = {member for member in members if re.fullmatch("set_.*_request", member)}  # scikit-learn adds them
        assert members - requests <= set(members_in_stubs(public))


def test_stubs_of_compiled_modules_are_current():
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "src" / "stubs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stubs = module.stubs()
    assert {path.relative_to(ROOT / "fastsoftmax") for path in stubs} == {
        path for path in STUBS if path.parts[0] == "kernels" or path.name == "openmp.pyi"
    }
    for path, text in stubs.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: run python src/stubs.py"


def test_the_installed_package_is_typed():
    assert (INSTALLED / "py.typed").exists()
    assert [path for path in STUBS if not (INSTALLED / path).exists()] == []


def test_the_sample_uses_every_public_name():
    source = (HERE / "user_code.py").read_text(encoding="utf-8")
    used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert {name for owner in (fastsoftmax, *MODULES.values()) for name in owner.__all__} - used == set()


def test_the_sample_runs(tmp_path):
    runpy.run_path(str(HERE / "user_code.py"))["main"](str(tmp_path))


def test_the_sample_for_torch_runs():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    runpy.run_path(str(HERE / "user_code_torch.py"))["main"]()


def test_the_sample_for_onnx_runs():
    pytest.importorskip("skl2onnx")
    runpy.run_path(str(HERE / "user_code_onnx.py"))["main"]()
