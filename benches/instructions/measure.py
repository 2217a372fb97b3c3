"""Count the instructions that fastsoftmax's own shared objects execute, by valgrind's callgrind.

What Python, NumPy, BLAS and the C library execute is left out: it differs from machine to machine.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fastsoftmax
from fastsoftmax.runtime import openmp

ISAS = "baseline", "avx2"  # those that valgrind emulates
MACHINES = "x86_64", "AMD64"
OURS = Path(fastsoftmax.__file__).resolve().parent
CALLGRIND = (
    "valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", "--dump-line=no", "--compress-strings=no",
    "--compress-pos=no",
)  # fmt: skip
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
REQUESTS = """
#include <valgrind/callgrind.h>

void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void zero(void) { CALLGRIND_ZERO_STATS; }
void dump(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
"""
TRIGGER = "desc: Trigger: Client Request: "
COMPILER = re.compile(rb"\0(GCC: [ -~]+|[ -~]*clang version [ -~]+)\0")  # in the section .comment
TAIL = 2000  # characters of a failed process's output that are shown


class CannotCount(Exception):
    """Says why there are no counts."""


def count(isa, dumps=None):
    """Count the instructions of each kernel on one instruction set; `dumps` is a folder to keep callgrind's files in."""
    with tempfile.TemporaryDirectory() as folder:
        dumps = Path(folder if dumps is None else dumps).resolve()
        dumps.mkdir(parents=True, exist_ok=True)
        out = dumps / f"callgrind.out.{isa}"
        for path in _parts(out):  # from an earlier run
            path.unlink()
        _run([*CALLGRIND, f"--callgrind-out-file={out}", *_process(_shim(folder))], _environment(isa), folder)
        counted = [parse(path.read_text()) for path in _parts(out)]
    return {name: ours(name, by_object) for name, by_object in counted}


def _parts(out):
    """Return callgrind's files, one for each kernel, in the order of the kernels."""
    return sorted(out.parent.glob(f"{out.name}.*"), key=lambda path: int(path.suffix.removeprefix(".")))


def parse(dump):
    """Return the name that a file of callgrind has counts for, and the instructions of each object file.

    https://valgrind.org/docs/manual/cl-format.html tells the format; names and positions are not compressed.
    """
    name = object_file = total = None
    by_object, is_inclusive = {}, False
    for line in dump.splitlines():
        if line.startswith(TRIGGER):
            name = line.removeprefix(TRIGGER)
        elif line.startswith("ob="):
            object_file = line.removeprefix("ob=")
        elif line.startswith("calls="):
            # The next line has what the called function took, which stands under that function as well.
            is_inclusive = True
        elif line.startswith("totals:"):
            total = int(line.split()[1])
        elif line[:1].isdigit():
            if not is_inclusive:
                by_object[object_file] = by_object.get(object_file, 0) + int(line.split()[1])
            is_inclusive = False
    if name is None or total != sum(by_object.values()):
        raise CannotCount(f"not understood: callgrind's file of {name!r} has parts of {by_object}, a total of {total}")
    return name, by_object


def ours(name, by_object, folder=OURS):
    """Return the instructions of the object files in fastsoftmax's folder."""
    n = sum(instructions for path, instructions in by_object.items() if folder in Path(path).parents)
    if not n:
        raise CannotCount(f"{name!r} ran nothing of {folder}; it ran {sorted(by_object)}")
    return n


def made_with():
    """Return what the counts depend on beside the source."""
    compilers = set()
    for path in OURS.rglob("*.so"):  # they name the compiler that built them, which need not be this machine's
        compilers.update(COMPILER.findall(path.read_bytes()))
    return {
        "compiler": b", ".join(sorted(compilers)).decode() or "unknown",
        "Cython": type(openmp.max_threads).__module__.removeprefix("_cython_").replace("_", "."),
        "valgrind": _run(["valgrind", "--version"]).strip().removeprefix("valgrind-"),
    }


def check_tools():
    """Raise CannotCount if anything is missing."""
    if platform.machine() not in MACHINES:
        raise CannotCount(f"the counts are of x86-64, this machine is {platform.machine()}")
    if shutil.which("valgrind") is None:
        raise CannotCount("valgrind is not installed (Debian and Ubuntu: apt-get install valgrind)")
    if shutil.which(_compiler()[0]) is None:
        raise CannotCount(
            f"the C compiler {_compiler()[0]!r} is not installed; the environment variable CC names another"
        )


def _compiler():
    """Return the compiler's command, which may have arguments."""
    return shlex.split(os.environ.get("CC", "cc"))


def _shim(folder):
    """Compile the library through which Python makes requests of callgrind."""
    source, shim = Path(folder, "requests.c"), Path(folder, "requests.so")
    source.write_text(REQUESTS)
    _run([*_compiler(), "-shared", "-fPIC", "-o", str(shim), str(source)])
    return shim


def _process(shim):
    return [sys.executable, "-P", "-m", f"{__package__}.counted", str(shim)]


def _environment(isa):
    """Return an environment in which Python finds the modules of this process."""
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    return os.environ | ONE_THREAD | {"FASTSOFTMAX_ISA": isa, "PYTHONHASHSEED": "0", "PYTHONPATH": path}


def _run(command, environment=None, folder=None):
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise CannotCount(f"{command[0]} failed with status {done.returncode}:\n{(done.stdout + done.stderr)[-TAIL:]}")
    return done.stdout
