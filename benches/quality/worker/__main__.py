"""Run one system on one problem, once, in its own process: ``python worker JOB``; JOB is a JSON file.

The Python of the system's own environment runs this folder as a script. fastsoftmax need not be installed there: the worker
imports only NumPy, SciPy and the system.
"""

import json
import math
import os
import resource
import signal
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import memory
import numpy as np
from problem import Problem
from statuses import GIVEN_UP, NO_MEMORY
from systems import SYSTEMS
from systems.base import bytes_of

DEPTH = 20  # classes that are predicted for each row
PREDICTION_SECONDS = 0.5
SPARE = 5  # seconds beyond the limit: then the run ends itself, in case the process that started it is gone


def run(job):
    """Do a job and return its result; predictions are written to files."""
    problem = Problem.load(job["problem"])
    folder = Path(job["folder"])
    system = SYSTEMS[job["system"]](
        problem, n_threads=job["n_threads"], seed=job["seed"], budget=job["budget"], folder=folder
    )
    system.prepare()
    with memory.Peak() as peak:
        wall, cpu = time.perf_counter(), _cpu_seconds()
        system.fit()
        train_seconds, train_cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
    X = problem.test.X
    rows = system.prepare_predictions(X)
    class_ids, proba, predict_seconds = _timed_predictions(system, rows)
    np.save(folder / "class_ids.npy", _padded(class_ids, DEPTH))
    if proba is not None:
        np.save(folder / "best_proba.npy", np.asarray(proba)[:, 0])
    known = problem.test.labels >= 0
    log_proba = np.full(len(known), -np.inf)
    given = system.target_log_proba(X[problem.test.label_rows[known]], problem.test.labels[known])
    if given is not None:
        log_proba[known] = given
        np.save(folder / "log_proba.npy", log_proba)
    model = folder / "model"
    system.save(model)
    return {
        "train_seconds": train_seconds,
        "train_cpu_seconds": train_cpu_seconds,
        "peak_bytes": peak.beyond(None),
        "predict_rows_per_second": len(class_ids) / predict_seconds,
        "model_bytes": bytes_of(model),
        "versions": {package: _version(package) for package in system.packages},
    }


def _timed_predictions(system, rows):
    """Return predictions, and the median seconds of calls that take PREDICTION_SECONDS together."""
    seconds = []
    while sum(seconds) < PREDICTION_SECONDS:
        start = time.perf_counter()
        class_ids, proba = system.predict_topk(rows, DEPTH)
        seconds.append(time.perf_counter() - start)
    return class_ids, proba, statistics.median(seconds)


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:  # it is a clone that was built in place
        return "not installed"


def _cpu_seconds():
    """Return the CPU seconds of this process and of the processes that it started and that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _limit_memory(n_bytes):
    """Limit the data of this process to `n_bytes`, or to a lower limit that there is already."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    n_bytes = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def _padded(class_ids, depth):
    out = np.full((len(class_ids), depth), -1, np.int64)
    out[:, : class_ids.shape[1]] = class_ids[:, :depth]
    return out


def main(path):
    job = json.loads(Path(path).read_text())
    signal.alarm(math.ceil(job["limit_seconds"]) + SPARE)
    _limit_memory(job["max_bytes"])
    result = Path(job["folder"]) / "result.json"
    try:
        outcome, status = run(job), 0
    except MemoryError as error:
        outcome, status = {"reason": str(error) or "out of memory"}, NO_MEMORY
    except Exception as error:  # a peer may raise anything, which is reported
        import traceback

        traceback.print_exc()
        outcome, status = {"reason": f"{type(error).__name__}: {error}"}, GIVEN_UP
    result.write_text(json.dumps(outcome))
    sys.stdout.flush()
    os._exit(status)  # skips destructors of packages, which can hang or crash


if __name__ == "__main__":
    main(sys.argv[1])
