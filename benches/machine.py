"""The machine that results are measured on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fastsoftmax
from fastsoftmax.kernels import dispatch
from fastsoftmax.runtime import threads

from .kernels import limits

PACKAGES = ["fastsoftmax", "numpy", "scipy", "scikit-learn", "torch"]  # whose versions in this environment are told


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
    """Describe the machine as (name, value) pairs."""
    load = os.getloadavg()[0]
    rates = limits.machine_rates(2.0)
    versions = [f"{name} {fastsoftmax.__version__ if name == 'fastsoftmax' else _version(name)}" for name in PACKAGES]
    return [
        ("CPU", _cpu()),
        ("instruction set in use", dispatch.selected()),
        ("threads", str(threads.resolve(None))),
        ("caches of a core (L3 shared)", _caches()),
        ("reading memory", f"{rates['read'] / 1e9:.1f} GB/s"),
        ("copying memory, read and write counted", f"{rates['copy'] / 1e9:.1f} GB/s"),
        ("float32 GEMM", f"{rates['gemm'] / 1e9:.0f} GFLOP/s"),
        ("load average of the last minute, before", f"{load:.1f}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(versions)),
    ]
