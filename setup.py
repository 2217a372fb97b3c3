"""Builds the Cython kernels with OpenMP, and finds the packages. Everything else about the project stands in pyproject.toml.

Environment switches:
    FASTSOFTMAX_NO_OPENMP=1     build without threads
    FASTSOFTMAX_BOUNDSCHECK=1   Cython bounds checks on (for debugging; slow)
Sanitizers and other flags go through CFLAGS and LDFLAGS, as usual.
"""

import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

sys.path.insert(0, str(Path(__file__).parent / "src"))
from generate import generate

SRC = Path("src")
GENERATED = Path("build/leaves")
TABLES = SRC / "shared" / "tables.c"  # the leaf loops of all instruction sets
OPTIMISE = [
    "-O3",
    "-g0",
    "-fno-math-errno",
    "-fno-trapping-math",
]  # symbols for debuggers would be four fifths of the wheel
SHARED_UTILITIES = "fastsoftmax.kernels._cython"  # Cython's own code for memoryviews, once for all modules
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
        flags = shlex.split(os.environ.get("CFLAGS", ""))
        for extension in self.extensions:
            # of flags that contradict, the last one counts
            extension.extra_compile_args = OPTIMISE + compile_args + flags
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


def module_of(pyx):
    """src/runtime/x.pyx is fastsoftmax.runtime.x, and all others are kernels."""
    package = "runtime" if pyx.parent.name == "runtime" else "kernels"
    return f"fastsoftmax.{package}.{pyx.stem}"


def extensions():
    headers = [str(p) for p in sorted(SRC.glob("*/*.h"))]
    leaves = str(GENERATED / "leaves.h")
    shared = [leaves, str(SRC / "shared" / "table.h"), *map(str, sorted(SRC.glob("*/structs.h")))]
    for pyx in sorted(SRC.glob("*/*.pyx"), key=lambda pyx: (pyx.stem != "dispatch", pyx)):
        has_leaves = pyx.stem == "dispatch"  # it takes longest, so others are compiled meanwhile
        yield Extension(
            module_of(pyx),
            sources=[str(pyx), str(TABLES)] if has_leaves else [str(pyx)],
            include_dirs=[str(SRC), str(GENERATED), numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            depends=[leaves, *headers] if has_leaves else shared,
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


checks = os.environ.get("FASTSOFTMAX_BOUNDSCHECK") == "1"
generate(GENERATED)
setup(
    packages=packages(),
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        list(extensions()),
        include_path=[str(SRC), str(GENERATED)],
        build_dir="build/cython-checked" if checks else "build/cython",  # files of the other kind are not made anew
        shared_utility_qualified_name=SHARED_UTILITIES,
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
