"""The machine that results are measured on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import fastsoftmax
from fastsoftmax.kernels import dispatch
from fastsoftmax.runtime import threads

from .kernels import limits, timing

PACKAGES = ["fastsoftmax", "numpy", "scipy", "scikit-learn", "torch"]  # those of this environment


def _cpu():
    fields = {}
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            fields[name.strip()] = value.strip()
    name = fields.get("model name") or platform.processor() or platform.machine()
    return f"{name}, family {fields['cpu family']}, model {fields['model']}" if "cpu family" in fields else name


def _caches():
    out = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            out.append(f"L{level} {int(size[:-1])} KiB" if size.endswith("K") else f"L{level} {size}")
    return ", ".join(out) or "unknown"


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def describe():
    """What the results were measured on, as (name, value) pairs."""
    load = os.getloadavg()[0]
    a, A, B = np.ones(1 << 26, "f"), np.ones((3072, 3072), "f"), np.ones((3072, 3072), "f")
    calls = {"read": limits.read(a), "copy": limits.copy(a), "gemm": limits.products(A, B)}
    fastest = {name: min(s) for name, s in timing.interleaved(calls, 2.0).items()}
    versions = [f"{name} {fastsoftmax.__version__ if name == 'fastsoftmax' else _version(name)}" for name in PACKAGES]
    return [
        ("CPU", _cpu()),
        ("instruction set in use", dispatch.selected()),
        ("threads", str(threads.resolve(None))),
        ("caches of a core (L3 shared)", _caches()),
        ("reading memory", f"{a.nbytes / fastest['read'] / 1e9:.1f} GB/s"),
        ("copying memory, read and write counted", f"{2 * a.nbytes / fastest['copy'] / 1e9:.1f} GB/s"),
        ("float32 GEMM", f"{2 * 3072**3 / fastest['gemm'] / 1e9:.0f} GFLOP/s"),
        ("load average of the last minute, before", f"{load:.1f}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(versions)),
    ]
