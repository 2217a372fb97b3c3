"""The rates of the machine while the curves are measured, by which `studies.cost_model` divides."""

import statistics
import time

import numpy as np
from scipy import sparse

from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.runtime import memory, threads
from fastsoftmax.training.learner import Learner
from fastsoftmax.training.step_losses import FullLoss

from ..kernels import limits


def measure(budget=2.0):
    """Measure matrix products, a copy (read and write counted) and the smallest training step."""
    n_threads, rates = threads.resolve(None), limits.machine_rates(budget)
    return {
        "cores": n_threads,
        "flops_per_second": rates["gemm"],
        "bytes_per_second": rates["copy"],
        "available_bytes": memory.available(),
        "smallest_step_seconds": _smallest_step(n_threads),
    }


def best(*measured):
    """Return the best of several measurements: other work on the machine can only have made it slower."""
    values = {name: [m[name] for m in measured] for name in measured[0]}
    choose = {name: min if name == "smallest_step_seconds" else max for name in values}
    return {name: values[name][0] if None in values[name] else choose[name](values[name]) for name in values}


def _smallest_step(n_threads, n_rows=256, repetitions=100):
    """Return the seconds of a training step with two classes, which Python and NumPy spend around the kernels."""
    X, optimizer, rng = sparse.csr_matrix(np.ones((n_rows, 1), "f")), Adagrad().rule(1e-3), np.random.default_rng(0)
    model = Model.initialise(2, 1, 8, None, optimizer=optimizer, dense_input=False, rng=rng, dtype=np.dtype("f"))
    learner = Learner(Runner(model, X, n_threads=n_threads), FullLoss(), optimizer)
    rows, seconds = np.arange(n_rows), []
    for _ in range(repetitions):
        start = time.perf_counter()
        learner.step(rows, rows % 2, np.ones(n_rows), rng, 1.0)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
