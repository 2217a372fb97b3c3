"""The command under mpiexec. Each start takes seconds, so there are few of them, and each is looked at from several sides."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastsoftmax.cli import main as cli

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
PATIENCE = 120  # seconds for a run


@pytest.fixture(scope="module", autouse=True)
def _mpi():
    pytest.importorskip("mpi4py")
    if MPIEXEC is None:
        pytest.skip("no mpiexec")


@pytest.fixture
def data(tmp_path):
    """600 rows of 12 classes, each of which any of its three features tells."""
    rng = np.random.default_rng(0)
    classes, features = rng.integers(0, 12, 600), rng.integers(0, 3, 600)
    path = tmp_path / "data.svm"
    path.write_text("".join(f"{c + 7} {3 * c + f}:1\n" for c, f in zip(classes, features, strict=True)))
    return str(path)


def start(*arguments, n_ranks=2, program=("-m", "fastsoftmax"), **environment):
    """mpiexec of so many ranks as a process that leads a group of its own."""
    oversubscribe = ["--oversubscribe"] if "Open MPI" in _version() else []
    command = [MPIEXEC, *oversubscribe, "-n", str(n_ranks), sys.executable, *program, *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | ROOT | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, **pipes, env=environment, text=True, start_new_session=True)


def _version():
    return subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True, env=os.environ | ROOT).stdout


def ended(process, patience=PATIENCE):
    """(exit status, standard output, standard error) of the process; at the latest it ends, with its group, after a while."""
    try:
        output, error = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, error = process.communicate()
        pytest.fail(f"still running after {patience} s: {output}\n{error}")
    return process.returncode, output, error


def mpiexec(*arguments, **options):
    return ended(start(*arguments, **options))


PREDICT_AND_EVALUATE = """
import sys
from fastsoftmax.cli.main import main
sys.exit(main(["predict", *sys.argv[1:], "-k", "2"]) or main(["evaluate", *sys.argv[1:], "-k", "1"]))
"""


def test_train_predict_evaluate(data, tmp_path, capsys):
    alone, together = str(tmp_path / "alone"), str(tmp_path / "together")
    assert cli.main(["train", data, "-o", alone, "--epochs", "3"]) == 0
    capsys.readouterr()
    checkpoint = ("--checkpoint", str(tmp_path / "checkpoint"), "--checkpoint-every", "0")
    status, output, error = mpiexec("train", data, "-o", together, "--epochs", "3", *checkpoint)
    assert status == 0, error
    assert error.count("600 rows, 36 features") == error.count("12 classes") == error.count("wrote") == 1
    assert output == ""
    assert error.count("epoch 3/3") == 1 and len(os.listdir(together)) >= 2
    assert not [name for name in os.listdir(tmp_path) if name.startswith("checkpoint")]  # all ranks have removed theirs

    for name, k in (("predict", "2"), ("evaluate", "1")):
        assert cli.main([name, alone, data, "-k", k]) == 0
    expected = capsys.readouterr().out.split()
    status, output, error = mpiexec(together, data, program=("-c", PREDICT_AND_EVALUATE))
    assert status == 0, error
    assert len(output.split()) == len(expected)
    for text, other in zip(output.split(), expected, strict=True):
        assert text == other or float(text) == pytest.approx(float(other), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["train", "--nonsense"], 2, "error: the following arguments are required"),
        (["train", "missing.svm", "-o", "model"], 1, "No such file or directory: 'missing.svm'"),
    ],
)
def test_what_all_ranks_would_say_is_said_once(arguments, status, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got, _, error = mpiexec(*arguments)
    assert got == status and error.count(said) == error.count("fastsoftmax") - error.count("usage") == 1, error
    assert not os.path.exists("model")


def test_one_process_that_mpiexec_starts_reads_standard_input_and_writes_a_file(data, tmp_path):
    model = str(tmp_path / "model")
    status, output, error = mpiexec("train", data, "-o", model, "--quiet", "--epochs", "1", n_ranks=1)
    assert (status, output, error) == (0, "", "") and os.path.isfile(model)


FAILS_ALONE = """
import os, sys
from fastsoftmax.cli.main import main
from fastsoftmax.training.training import Training

def run(self, *args, **kwargs):
    raise RuntimeError("broken here")

if "1" in (os.environ.get("OMPI_COMM_WORLD_RANK"), os.environ.get("PMI_RANK")):
    Training.run = run
sys.exit(main())
"""


def test_a_rank_that_fails_alone_ends_all(data, tmp_path):
    status, _, error = mpiexec("train", data, "-o", str(tmp_path / "model"), program=("-c", FAILS_ALONE))
    assert status == 1 and "rank 1 of 2 failed, which ends all: broken here" in error


def _ranks_of(marker):
    """The ids of the processes that have the marker among their arguments, but not of mpiexec."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if marker.encode() in words and b"-n" not in words:
            found.append(int(pid))
    return sorted(found)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc here")
@pytest.mark.parametrize("whom", ["mpiexec", "the last rank"])
def test_signals_end_all(whom, data, tmp_path):
    model = str(tmp_path / "model")
    process = start("train", data, "-o", model, "--epochs", "100000000")
    try:
        for line in process.stderr:
            if line.startswith("loss="):  # which is printed as training begins
                break
        time.sleep(1)
        ranks = _ranks_of(model)
        assert len(ranks) == 2
        if whom == "mpiexec":
            os.kill(process.pid, signal.SIGINT)
        else:
            os.kill(ranks[-1], signal.SIGTERM)
        begin = time.monotonic()
        while _ranks_of(model) and time.monotonic() < begin + 15:
            time.sleep(0.1)
        assert not _ranks_of(model)
        status, _, _ = ended(process, 15)
        assert status != 0 and not os.path.exists(model)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_folder_of_other_files_is_refused_before_the_data_is_read(data, tmp_path):
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "x").touch()
    status, output, error = mpiexec("train", data, "-o", str(tmp_path / "others"))
    assert status == 1 and not output
    assert error.count("fastsoftmax: error: --output cannot be") == 1 and "'x' is no part of a model" in error
