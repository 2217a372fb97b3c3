"""One run of one system, in its own process and environment, within limits of time and memory."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from . import environments, scores
from .worker.statuses import GIVEN_UP, NO_MEMORY
from .worker.systems import SYSTEMS

WORKER = Path(__file__).parent / "worker"
OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Cannot allocate memory", "can't allocate memory", "not enough memory")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
OURS_ONLY = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # would lead a peer's Python to our packages


def run(problem, problem_folder, system, budget, seed, *, limits, folder):
    """Run a system once; return {"status", "reason"}, and the figures if the status is "ok".

    Parameters
    ----------
    limits : dict
        "n_threads", "limit_seconds" (of the whole process) and "max_bytes".
    folder : Path
        A folder for the run's files, which is made and removed.
    """
    why_not = SYSTEMS[system].why_not(problem.summary())
    if why_not:
        return {"status": "not applicable", "reason": why_not}
    python = environments.python_of(SYSTEMS[system].environment)
    if python is None:
        return {"status": "missing", "reason": "not installed"}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = {
        "problem": str(problem_folder),
        "folder": str(folder),
        "system": system,
        "n_threads": limits["n_threads"],
        "seed": seed,
        "budget": budget,
        "limit_seconds": limits["limit_seconds"],
        "max_bytes": limits["max_bytes"],
    }
    (folder / "job.json").write_text(json.dumps(job))
    try:
        status = _execute([str(python), str(WORKER), str(folder / "job.json")], limits, folder / "log", python)
        return _outcome(status, problem, limits, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _execute(command, limits, log, python):
    """Run the worker and return its exit status, or None if it took too long."""
    n_threads = limits["n_threads"]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(n_threads))
    if Path(python) != Path(sys.executable):
        environment = {name: value for name, value in environment.items() if name not in OURS_ONLY}
    with open(log, "wb") as output, _only_cpus(n_threads):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        return process.wait(limits["limit_seconds"])
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # end it and all processes that it started
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _only_cpus(n_threads):
    """Give processes that are started inside only so many CPUs, however many threads they start."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:n_threads]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _outcome(status, problem, limits, folder):
    if status is None:
        return {"status": "too slow", "reason": f"not done in {limits['limit_seconds']:g} s"}
    result = json.loads((folder / "result.json").read_text()) if (folder / "result.json").exists() else {}
    if status == 0:
        return {"status": "ok", "reason": ""} | result | {"metrics": scores.of_predictions(problem, folder)}
    text = (folder / "log").read_text(errors="replace")
    if status == NO_MEMORY or any(sign in text for sign in OUT_OF_MEMORY):
        return {"status": "no memory", "reason": f"needs more than {limits['max_bytes'] / 2**30:.3g} GiB"}
    if status == GIVEN_UP:
        return {"status": "failed", "reason": result["reason"]}
    last = (text.strip().splitlines() or ["no output"])[-1]
    how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    return {"status": "failed", "reason": f"{how}: {last[:200]}"}
