"""Documents fastsoftmax.torch and fastsoftmax.onnx where PyTorch and skl2onnx are not installed, with Sphinx's stand-ins.

A stand-in has no `|`, which annotations of torch need, and hides the functions that it decorates.
"""

import importlib.util
import inspect

from sphinx.ext.autodoc.mock import _MockObject

EXTRAS = {"torch": ["torch"], "skl2onnx": ["onnx", "skl2onnx"]}  # by the package that tells whether they are there


def either(self, other):
    """`Tensor | None`."""
    return self


def call(self, *args, **options):
    """A decorator leaves its function as it is; an operator of torch.library has methods, and stays a stand-in."""
    decorates = len(args) == 1 and not options and inspect.isfunction(args[0])
    return args[0] if decorates and "library" not in repr(type(self)) else self


def mock(app, config):
    missing = [
        package for tells, packages in EXTRAS.items() if importlib.util.find_spec(tells) is None for package in packages
    ]
    if "torch" in missing:
        _MockObject.__or__ = _MockObject.__ror__ = either
        _MockObject.__call__ = call
    config.autodoc_mock_imports = [*config.autodoc_mock_imports, *missing]


def setup(app):
    app.connect("config-inited", mock, priority=100)
    return {"parallel_read_safe": True}
