"""The command build_ext, which builds the kernels, as many files at a time as there are CPUs, the largest first.

Cython's translation of the modules to C and the leaf loops of each instruction set take most of the time.
"""

import os
import shlex
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from Cython.Build import cythonize
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError
from setuptools.modified import newer_group

from generate import generate

SRC = Path("src")
GENERATED = Path("build/generated")
LEAVES = [SRC / f"shared/{name}.c" for name in ("isa_avx512", "isa_avx2", "isa_baseline", "tables")]
DISPATCH = "fastsoftmax.kernels.dispatch"  # the module that has them
SHARED_UTILITIES = "fastsoftmax.kernels._cython"  # Cython's own code for memoryviews, once for all modules
OPTIMISE = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
NO_SYMBOLS = ["-g0"]  # those for debuggers would be four fifths of the wheel
STRIP = ["-Wl,--strip-all"]  # the linker's would be a tenth
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
OPENMP_CANDIDATES = [  # compile arguments, link arguments
    (["-fopenmp"], ["-fopenmp"]),  # gcc, and clang with libomp
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),  # Apple clang with libomp
]


class BuildExt(build_ext):
    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            sys.exit("fastsoftmax: the kernels use GCC's vector extensions; build with gcc or clang")
        started, n_jobs = time.monotonic(), self.parallel or n_cpus()
        self.set_flags()
        self.translate(n_jobs)
        leaves = self.stale_leaves()
        modules = self.stale_modules(bool(leaves))
        n = len(leaves) + len(modules)
        self.numbers = iter([f"{i} of {n}" for i in range(1, n + 1)])
        say(f"{n} files to compile, {n_jobs} at a time")
        with ThreadPoolExecutor(n_jobs) as pool:
            first = [pool.submit(self.compile_leaves, source) for source in leaves]
            steps = first + [pool.submit(self.build_module, module, first) for module in modules]
            try:
                for step in as_completed(steps):
                    step.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        say(f"the kernels are built, after {time.monotonic() - started:.0f} s")

    def set_flags(self):
        compile_args, link_args = self.openmp_arguments()
        flags = shlex.split(os.environ.get("CFLAGS", ""))
        if sys.platform != "darwin" and not any(flag.startswith("-g") and flag != "-g0" for flag in flags):
            link_args = link_args + STRIP
        self.flags = OPTIMISE + NO_SYMBOLS + compile_args + flags  # of flags that contradict, the last one counts
        for extension in self.extensions:
            extension.extra_compile_args, extension.extra_link_args = self.flags, link_args

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

    def translate(self, n_jobs):
        """Have the extensions' sources be C files in build/cython in place of those of Cython."""
        checks = os.environ.get("FASTSOFTMAX_BOUNDSCHECK") == "1"
        generate(GENERATED)
        say(f"{len(self.extensions)} modules to translate from Cython to C, {n_jobs} at a time")
        translated = cythonize(
            self.extensions,
            nthreads=n_jobs if n_jobs > 1 else 0,
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
                "emit_code_comments": False,
                # After its import no module writes to anything but its callers' arrays and its own stack.
                "freethreading_compatible": True,
            },
        )
        sources = {extension.name: extension.sources for extension in translated}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
            if extension.name == DISPATCH:
                extension.extra_objects = [self.object_of(source) for source in LEAVES]
                extension.depends += extension.extra_objects

    def object_of(self, source):
        return self.compiler.object_filenames([str(source)], output_dir=self.build_temp)[0]

    def stale_leaves(self):
        headers = [GENERATED / "leaves.h", *SRC.glob("*/*.h")]
        return [source for source in LEAVES if self.is_stale(self.object_of(source), [source, *headers])]

    def stale_modules(self, with_dispatch):
        """The largest first. That of the leaves is the last, since it waits for them."""

        def has_to_be_built(module):
            if module.name == DISPATCH and with_dispatch:
                return True
            return self.is_stale(self.get_ext_fullpath(module.name), module.sources + module.depends)

        def order(module):
            return module.name == DISPATCH, -sum(map(os.path.getsize, module.sources))

        return sorted(filter(has_to_be_built, self.extensions), key=order)

    def is_stale(self, target, sources):
        return self.force or newer_group([str(path) for path in sources], target, missing="newer")

    def compile_leaves(self, source):
        say(f"compiling {next(self.numbers)}: {source}")
        folders = [str(SRC), str(GENERATED)]
        self.compiler.compile([str(source)], self.build_temp, include_dirs=folders, extra_postargs=self.flags)

    def build_module(self, extension, leaves):
        if extension.name == DISPATCH:
            for step in leaves:
                step.result()
        say(f"compiling {next(self.numbers)}: {extension.name}")
        self.build_extension(extension)


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


def n_cpus():
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def say(text):
    print(f"fastsoftmax: {text}", flush=True)
