import subprocess
import sys

import pytest

import fastsoftmax

HEAVY = ["sklearn", "tqdm", "safetensors", "matplotlib", "torch", "pandas", "usearch", "skl2onnx", "onnxruntime"]


def test_import_is_light():
    program = f"import sys, fastsoftmax; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_displays_are_there_before_matplotlib_is():
    program = "import sys, fastsoftmax.plots; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


@pytest.mark.parametrize("name", fastsoftmax.__all__)
def test_public_names(name):
    assert getattr(fastsoftmax, name) is not None
    assert name in dir(fastsoftmax)


def test_other_names():
    with pytest.raises(AttributeError, match="no attribute 'hardmax'"):
        fastsoftmax.hardmax  # noqa: B018


@pytest.mark.parametrize("name", fastsoftmax._MODULES)
def test_tab_completion_shows_what_is_public(name):
    module = getattr(fastsoftmax, name)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)
