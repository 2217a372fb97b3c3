"""Files and checkpoints of processes that MPI has started, where there is one."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fastsoftmax import load

pytest.importorskip("mpi4py")
MPIEXEC = shutil.which("mpiexec") or shutil.which("mpiexec", path=os.path.dirname(sys.executable))
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec")

SAVE = """
import os, shutil, sys
from mpi4py import MPI
from rank_cases import TERMS, own_rows
from fastsoftmax import load
from fastsoftmax.distributed.mpi import ranks_of
from checkpoint_cases import classifier
ranks, path = ranks_of(MPI.COMM_WORLD), sys.argv[1]
model = classifier(
    **TERMS["sparse and low rank"], comm=MPI.COMM_WORLD, checkpoint=path + ".checkpoint", checkpoint_every=0
)
model.fit(*own_rows(ranks)).save(path)
again = load(path, comm=MPI.COMM_WORLD)
for name, a in model._model.arrays().items():
    assert (again._model.arrays()[name] == a).all()
again.partial_fit(*own_rows(ranks)).save(path + "-2")
if ranks.rank == 0:
    shutil.copytree(path, path + "-damaged")
    with open(path + "-damaged/model-00002-of-00002.safetensors", "r+b") as file:
        file.seek(-20, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-20, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
MPI.COMM_WORLD.Barrier()
try:
    load(path + "-damaged", comm=MPI.COMM_WORLD)
except ValueError as error:
    print("refused:", error, flush=True)
"""


def mpiexec(program, *args):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [
        MPIEXEC,
        "-n",
        "2",
        *(["--oversubscribe"] if _is_openmpi() else []),
        sys.executable,
        "-c",
        program,
        *args,
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _is_openmpi():
    shown = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    return "open" in shown.lower()


def test_two_processes_save_and_one_loads(tmp_path):
    done = mpiexec(SAVE, str(tmp_path / "model"))
    assert done.returncode == 0, done.stderr
    names = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}
    assert {p.name for p in (tmp_path / "model").iterdir()} == names
    assert {p.name for p in tmp_path.iterdir()} == {"model", "model-2", "model-damaged"}  # no checkpoint is left
    from checkpoint_cases import X, Y

    for name in ("model", "model-2"):
        assert np.mean(load(tmp_path / name).predict(X) == Y) > 0.9
    assert done.stdout.count("refused:") == 2 and "model-00002-of-00002.safetensors" in done.stdout
