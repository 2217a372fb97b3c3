"""A benchmark: a problem, how fastsoftmax and its peers solve it, and what the machine allows."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..quality.worker import memory
from . import problems

OURS = "fastsoftmax"
MAX_BYTES = 8 << 30  # peers that need more are left out


@dataclass
class Case:
    """A benchmark, which `fastsoftmax bench kernels` and pytest run.

    Attributes
    ----------
    implementations, limits : dict of name to function of the inputs that returns the call to be timed
        The first implementation is OURS. A name begins with its package, and its function raises ImportError where that is
        not installed.
    probe : function of the inputs and the result of a call
        It returns arrays, in which all implementations have to agree.
    agree_call : function of the inputs and the call that returns the result
        It makes the call with the same random draws for all implementations.
    reset : function that restores the inputs which calls have changed
    skipped : dict of name to the reason why it is not run
    """

    family: str
    problem: str
    shape: Any
    inputs: Callable
    implementations: dict
    probe: Callable
    dtype: str = "f"
    limits: dict = field(default_factory=dict)
    tolerance: float = 1e-3  # relative to each value and to their mean
    rounding: float = 0.0  # absolute, of weights that a step has changed
    agree_call: Callable = lambda inputs, call: call()
    reset: Callable = lambda inputs: None
    skipped: dict = field(default_factory=dict)
    steps_per_call: int = 1

    @property
    def label(self):
        return f"{self.problem} {self.shape_label} {np.dtype(self.dtype)}"

    @property
    def shape_label(self):
        if not isinstance(self.shape, tuple):
            return f"K = {self.shape:,}"
        return " x ".join(f"{n:,}" for n in self.shape) + (
            ", axis 0" if self.shape in problems.COLUMNWISE_SHAPES else ""
        )

    @property
    def is_large(self):
        return self.family in ("dense", "csr")

    @property
    def quick(self):
        return self.shape in problems.QUICK

    @property
    def asked(self):
        return problems.asked(self.problem, self.shape, self.dtype)

    def prepare(self, name, inputs, expected=None):
        """Run implementation `name` once and return its call, what the probe saw, and the peak of memory beyond the result.

        Raises AssertionError if the probe saw something else than `expected`.
        """
        self.reset(inputs)
        gc.collect()
        with memory.Peak() as peak:
            call = self.implementations[name](inputs)
            result = self.agree_call(inputs, call)
        peak_bytes = peak.beyond(result)
        seen = self.probe(inputs, result)
        del result
        if expected is not None:
            for a, b in zip(seen, expected, strict=True):
                a, b = np.asarray(a), np.asarray(b)
                scale = np.mean(np.abs(b[np.isfinite(b)])) if b.size else 0
                np.testing.assert_allclose(
                    a,
                    b,
                    rtol=self.tolerance,
                    atol=self.tolerance * scale + self.rounding,
                    err_msg=f"{name} disagrees with fastsoftmax: {self.label}",
                )
        return call, seen, peak_bytes
