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


def mpiexec(size, name):
    """The exit status and the output of function `name` of mpi_program.py on so many ranks."""
    command = ["mpiexec", "-n", str(size), sys.executable, str(PROGRAM), name]
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


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", ["exchanges", "training"])
def test_ranks_that_are_processes(name, size):
    status, output = mpiexec(size, name)
    assert status == 0, output
    assert output.count("is done") == size


@pytest.mark.parametrize(
    ("name", "size"),
    [("an_error_on_all", 2), ("parts_of_a_communicator", 4), ("communicators_that_are_freed", 4), ("memory", 4)],
)
def test_errors_and_communicators(name, size):
    status, output = mpiexec(size, name)
    assert status == 0, output
    assert output.count("is done") == size


def test_a_rank_that_fails_ends_all_and_says_why():
    status, output = mpiexec(2, "one_rank_fails")
    assert status != 0 and "is done" not in output
    assert "rank 1 of 2 failed, which ends all: there is no more" in output


def test_a_rank_that_is_killed_ends_all():
    status, output = mpiexec(2, "one_rank_is_killed")
    assert status != 0 and "is done" not in output
