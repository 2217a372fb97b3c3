"""Ranks that are processes under mpiexec. Each program has a time limit, which a hang would exceed."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or shutil.which("mpiexec") is None,
    reason="needs mpi4py and mpiexec: pip install fastsoftmax[mpi]",
)
PROGRAM = Path(__file__).with_name("mpi_program.py")
SECONDS = 120
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # as in containers
MORE_THAN_CPUS = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMP_NUM_THREADS": "1"}


def mpiexec(size, *names):
    """The exit status and the output of functions of mpi_program.py, one after the other, on so many ranks."""
    command = ["mpiexec", "-n", str(size), sys.executable, str(PROGRAM), *names]
    environment = os.environ | ROOT | MORE_THAN_CPUS
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, output


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (2, ["exchanges", "training", "an_error_on_all"]),
        (4, ["exchanges", "parts_of_a_communicator", "copies", "communicators_that_are_freed", "memory"]),
    ],
)
def test_ranks_that_are_processes(size, names):
    status, output = mpiexec(size, *names)
    assert status == 0, output
    assert output.count("is done") == size * len(names)


def test_a_rank_that_fails_ends_all_and_says_why():
    status, output = mpiexec(2, "one_rank_fails")
    assert status != 0 and "is done" not in output
    assert "rank 1 of 2 failed, which ends all: there is no more" in output


def test_a_rank_that_exits_at_once_says_what_another_failed_of():
    status, output = mpiexec(2, "one_rank_exits_at_once")
    assert status != 0 and "is done" not in output
    assert "ValueError: the second" in output and "rank 1 has failed too: MemoryError: the first" in output


def test_a_rank_that_is_killed_ends_all():
    status, output = mpiexec(2, "one_rank_is_killed")
    assert status != 0 and "is done" not in output
