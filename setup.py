"""Builds the Cython kernels with OpenMP, and finds the packages. Everything else about the project stands in pyproject.toml.

Environment switches:
    FASTSOFTMAX_NO_OPENMP=1     build without threads
    FASTSOFTMAX_BOUNDSCHECK=1   Cython bounds checks on (for debugging; slow)
Sanitizers and other flags go through CFLAGS and LDFLAGS, as usual.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

SRC = Path("src")
OPTIMISE = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
OPENMP_CANDIDATES = [  # compile arguments, link arguments
    (["-fopenmp"], ["-fopenmp"]),  # gcc, and clang with libomp
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),  # Apple clang with libomp
]


def compiles(compiler, program, compile_args, link_args):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "program.c")
        source.write_text(program)
        try:
            objects = compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_args)
            compiler.link_shared_object(objects, str(Path(folder, "program.so")), extra_postargs=link_args)
        except (CompileError, LinkError) as error:
            print(f"OpenMP with {compile_args}: {error}", file=sys.stderr)
            return False
    return True


class BuildExt(build_ext):
    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            sys.exit("fastsoftmax: the kernels use GCC's vector extensions; build with gcc or clang")
        compile_args, link_args = self.openmp_arguments()
        for extension in self.extensions:
            extension.extra_compile_args = OPTIMISE + compile_args
            extension.extra_link_args = link_args
        self.parallel = self.parallel or os.cpu_count()  # several files at once, also where pip builds
        super().build_extensions()

    def openmp_arguments(self):
        if os.environ.get("FASTSOFTMAX_NO_OPENMP") == "1":
            return ["-Wno-unknown-pragmas"], []
        for compile_args, link_args in OPENMP_CANDIDATES:
            if compiles(self.compiler, OPENMP_PROGRAM, compile_args, link_args):
                return compile_args, link_args
        sys.exit(
            "fastsoftmax: the C compiler does not build OpenMP programs. Install its OpenMP runtime "
            "(gcc: libgomp; clang: libomp), or set FASTSOFTMAX_NO_OPENMP=1 to build a single-threaded library."
        )


NAMES = {
    "_linear": "tiles",
    "_lowrank": "low_rank",
    "_rowops": "dispatch",
    "_sparse_bias": "pairs_bias",
    "_sparse_direct": "pairs",
}


def module_of(pyx):
    """fastsoftmax.runtime.openmp, and all others in fastsoftmax.kernels."""
    if pyx.stem == "_openmp":
        return "fastsoftmax.runtime.openmp"
    return f"fastsoftmax.kernels.{NAMES.get(pyx.stem, pyx.stem.removeprefix('_'))}"


def extensions():
    headers = [str(p) for p in sorted(SRC.glob("*.h")) + sorted(SRC.glob("*.pxd"))]
    for pyx in sorted(SRC.glob("_*.pyx")):
        yield Extension(
            module_of(pyx),
            sources=[str(pyx)] + ([str(SRC / "rowops.c")] if pyx.stem == "_rowops" else []),
            include_dirs=[str(SRC), numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            depends=headers,
        )


def packages():
    """The library, and benches/ as fastsoftmax.benches, without what only a clone needs.

    `fastsoftmax bench quality` lists all systems that it knows and runs those that are installed, so the wheel carries the
    adapters to other systems, too.
    """
    library = find_packages(include=["fastsoftmax*"], exclude=["fastsoftmax.benches*"])
    benches = find_packages(include=["benches*"], exclude=["benches.studies"])
    return library + [f"fastsoftmax.{name}" for name in benches]


checks = os.environ.get("FASTSOFTMAX_BOUNDSCHECK") == "1"
setup(
    packages=packages(),
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        list(extensions()),
        include_path=[str(SRC)],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": checks,
            "initializedcheck": checks,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
        },
    ),
)
