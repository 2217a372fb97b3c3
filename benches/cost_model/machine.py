"""A machine's rates, and the time that a phase takes on it: that of what it needs most of."""

import math
from typing import NamedTuple

PAIR_SECONDS = 9e-9  # of one thread, all that a pair takes: docs/exact_on_the_support.md
BOUNDS = {"flops": "flops", "bytes": "memory bandwidth", "lookups": "look-ups"}


class Machine(NamedTuple):
    cores: int
    flops: float  # a second, of float32 products on all cores
    bytes: float  # a second, from and to memory
    ram: float  # bytes
    network: float = 25e9 / 8  # bytes a second in each direction
    latency: float = 30e-6  # seconds of a message
    step_seconds: float = 100e-6  # of a training step or prediction of next to nothing

    @property
    def lookups(self):
        """A second."""
        return self.cores / PAIR_SECONDS


# 16 cores of a server at some 2.5 GHz: AVX2 products at 62 GFLOP/s each, memory of which a part is reached
COMMODITY = Machine(cores=16, flops=1e12, bytes=100e9, ram=128 * 2**30)


def checked(machine):
    for name, value in machine._asdict().items():
        if name in ("latency", "step_seconds"):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {value}")
        elif not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
    return machine


def of_rates(rates):
    """From what `benches.curves` measured beside its points."""
    return Machine(
        cores=rates["cores"],
        flops=rates["flops_per_second"],
        bytes=rates["bytes_per_second"],
        ram=rates["available_bytes"] or float("inf"),
        step_seconds=rates["smallest_step_seconds"],
    )


def phase_seconds(phase, machine):
    return max(getattr(phase, name) / getattr(machine, name) for name in BOUNDS)


def bound(phases, machine):
    """What most of the time goes to."""
    by_bound = dict.fromkeys(BOUNDS, 0.0)
    for phase in phases:
        most = max(BOUNDS, key=lambda name: getattr(phase, name) / getattr(machine, name))
        by_bound[most] += phase_seconds(phase, machine)
    name = max(by_bound, key=by_bound.get)
    return "the step itself" if machine.step_seconds > by_bound[name] else BOUNDS[name]


def seconds(phases, machine):
    """Of a batch: phases follow each other."""
    return machine.step_seconds + sum(phase_seconds(phase, machine) for phase in phases)
