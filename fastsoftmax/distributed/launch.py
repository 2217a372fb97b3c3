"""The processes that mpiexec or srun has started together: which one this is, and the ranks that they are."""

import os
import socket

from fastsoftmax.distributed.mpi import ranks_of
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.ranks import ONE
from fastsoftmax.validation import check_launched, check_mpi

# The variables that tell a process how many there are, which one it is, and which one of its machine.
LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),  # mpiexec of Open MPI
    ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),  # mpiexec of MPICH and of Intel MPI, srun --mpi=pmi2
    # srun --mpi=pmix. A batch script has Slurm's variables as well, but is one process, and has no PMIX_RANK.
    ("SLURM_STEP_NUM_TASKS", "PMIX_RANK", "SLURM_LOCALID"),
)


def place(environ=os.environ):
    """(size, rank, rank on its machine) of this process by its environment; (1, 0, 0) where it was started alone."""
    for size, rank, local_rank in LAUNCHERS:
        if size in environ and rank in environ:
            return int(environ[size]), int(environ[rank]), int(environ.get(local_rank, environ[rank]))
    return 1, 0, 0


def ranks():
    """The Ranks that were started together, once all of them have called this; ImportError where they have no MPI."""
    n_started = place()[0]
    if n_started == 1:
        return ONE
    check_mpi(f"a start of {n_started} processes together")
    from mpi4py import MPI

    check_launched(n_started, MPI.COMM_WORLD.Get_size())
    return ranks_of(MPI.COMM_WORLD)


def default_threads(ranks):
    """The threads of a rank where nobody gives their number: the ranks that have the same CPUs divide them."""
    if threads.DEFAULT_IS_GIVEN:
        return None
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    here = socket.gethostname(), cpus
    n_sharing = sum(other == here for other in ranks.objects(here))
    return max(1, threads.n_cpus() // n_sharing)
