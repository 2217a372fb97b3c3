"""SciPy's own tests of logsumexp, softmax and log_softmax, as installed with it, run on ours: real dtypes, NumPy arrays."""

import ast
import importlib.util
import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest

import fastsoftmax

NAME = "scipy.special.tests.test_logsumexp"
COMPLEX = "complex input, which ours refuse"
LEFT_OUT = {
    "test_wrap_radians": "of a private helper for complex results",
    "TestLogSumExp.test_logsumexp_complex_sign": COMPLEX,
    "TestLogSumExp.test_gh21610": COMPLEX,
    "TestLogSumExp.test_gh21709_small_imaginary": COMPLEX,
}


def load():
    """A copy of SciPy's test module of its own, in which its three functions are ours; None where there is no such file."""
    try:
        spec = importlib.util.find_spec(NAME)
    except ModuleNotFoundError:  # some distributions leave the tests out
        return None
    if spec is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for function in ("logsumexp", "softmax", "log_softmax"):
        assert hasattr(module, function)
        setattr(module, function, getattr(fastsoftmax, function))
    return module


def marks(function, name):
    return [mark for mark in getattr(function, "pytestmark", []) if mark.name == name]


def arguments_of(function):
    """All combinations of a test's parametrize marks, as pytest makes them; without those that are complex."""
    combinations = []
    for mark in marks(function, "parametrize"):
        names, values = mark.args
        names = [name.strip() for name in names.split(",")]
        combinations.append([dict(zip(names, [v] if len(names) == 1 else v, strict=True)) for v in values])
    for several in itertools.product(*combinations):
        arguments = {name: value for one in several for name, value in one.items()}
        if not any(is_complex(value) for value in arguments.values()):
            yield arguments


def is_complex(value):
    """A number or the name of a dtype."""
    return isinstance(value, complex) or (isinstance(value, str) and value.startswith("complex"))


def functions_of(module):
    """(name, function) of all tests, those of classes bound to an instance of theirs."""
    for name, a in vars(module).items():
        if name.startswith("test_") and inspect.isfunction(a):
            yield name, a
        elif name.startswith("Test") and inspect.isclass(a):
            for method in dir(a):
                if method.startswith("test_"):
                    yield f"{name}.{method}", getattr(a(), method)


MODULE = load()
TESTS = {} if MODULE is None else dict(functions_of(MODULE))
CASES = [
    pytest.param(function, arguments, id=f"{name}-{'-'.join(map(str, arguments.values()))}".rstrip("-"))
    for name, function in TESTS.items()
    if name not in LEFT_OUT
    for arguments in arguments_of(function)
]
needs_the_file = pytest.mark.skipif(MODULE is None, reason="this SciPy was installed without its tests")


@needs_the_file
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # as SciPy's own marks have it, of its expected values
@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_scipys(function, arguments):
    fixtures = {"xp": np, "devices": ["cpu"]}
    wanted = inspect.signature(function).parameters
    function(**arguments, **{name: fixtures[name] for name in wanted if name not in arguments})


@needs_the_file
def test_none_is_missed():
    """What the source of SciPy's file defines is run, or left out for a reason that still applies."""
    defined = set()
    for node in ast.parse(Path(MODULE.__file__).read_text()).body:
        for test in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                defined.add(test.name if test is node else f"{node.name}.{test.name}")
    run = {case.id.split("-")[0] for case in CASES}
    assert not run & set(LEFT_OUT)
    assert defined == run | (set(LEFT_OUT) & defined)
