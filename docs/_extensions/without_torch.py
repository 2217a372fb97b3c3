"""Documents fastsoftmax.torch where PyTorch is not installed: with Sphinx's stand-in for it, which lacks two things.

The stand-in has no `|`, which annotations need, and hides the functions that it decorates.
"""

import importlib.util
import inspect

from sphinx.ext.autodoc.mock import _MockObject


def either(self, other):
    """`Tensor | None`."""
    return self


def call(self, *args, **options):
    """A decorator leaves its function as it is; an operator of torch.library has methods, and stays a stand-in."""
    decorates = len(args) == 1 and not options and inspect.isfunction(args[0])
    return args[0] if decorates and "library" not in repr(type(self)) else self


def mock(app, config):
    if importlib.util.find_spec("torch") is None:
        _MockObject.__or__ = _MockObject.__ror__ = either
        _MockObject.__call__ = call
        config.autodoc_mock_imports = [*config.autodoc_mock_imports, "torch"]


def setup(app):
    app.connect("config-inited", mock, priority=100)
    return {"parallel_read_safe": True}
