"""Finds the packages and the kernels, which src/build_kernels.py builds. All else about the project stands in pyproject.toml.

Environment switches:
    FASTSOFTMAX_NO_OPENMP=1     build without threads
    FASTSOFTMAX_BOUNDSCHECK=1   Cython bounds checks on (for debugging; slow)
Sanitizers and other flags go through CFLAGS and LDFLAGS, as usual.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy starts no threads: the processes that translate are forked

import numpy
from setuptools import Extension, find_packages, setup

sys.path.insert(0, str(Path(__file__).parent / "src"))
from build_kernels import GENERATED, SHARED_UTILITIES, SRC, BuildExt
from long_description import long_description


def module_of(pyx):
    """src/runtime/x.pyx is fastsoftmax.runtime.x, and all others are kernels."""
    package = "runtime" if pyx.parent.name == "runtime" else "kernels"
    return f"fastsoftmax.{package}.{pyx.stem}"


def extensions():
    headers = [GENERATED / "leaves.h", SRC / "shared" / "table.h", *sorted(SRC.glob("*/structs.h"))]
    for pyx in sorted(SRC.glob("*/*.pyx")):
        yield Extension(
            module_of(pyx),
            sources=[str(pyx)],
            include_dirs=[str(SRC), str(GENERATED), numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            depends=[str(path) for path in headers],
        )
    yield Extension(SHARED_UTILITIES, sources=[SHARED_UTILITIES.replace(".", "/") + ".c"])


def packages():
    """The library, and benches/ as fastsoftmax.benches, without what only a clone needs.

    `fastsoftmax bench quality` lists all systems that it knows and runs those that are installed, so the wheel carries the
    adapters to other systems, too.
    """
    library = find_packages(include=["fastsoftmax*"], exclude=["fastsoftmax.benches*"])
    benches = find_packages(include=["benches*"], exclude=["benches.studies"])
    return library + [f"fastsoftmax.{name}" for name in benches]


if __name__ == "__main__":  # processes that translate may import this file
    setup(
        packages=packages(),
        cmdclass={"build_ext": BuildExt},
        ext_modules=list(extensions()),
        long_description=long_description(Path("README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
