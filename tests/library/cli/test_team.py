"""The command where several ranks do its work. The ranks are threads here; test_mpiexec.py starts processes."""

import copy
import sys

import numpy as np
import pytest
import thread_ranks

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.cli import main as cli
from fastsoftmax.cli.team import Leader, Member
from fastsoftmax.distributed import launch
from fastsoftmax.estimators import loading
from fastsoftmax.runtime.ranks import Ranks

RNG = np.random.default_rng(0)
CLASSES, FEATURES = RNG.integers(0, 12, 600), RNG.integers(0, 3, 600)
LINES = {
    "svmlight": [f"{c + 7} {3 * c + f}:1" for c, f in zip(CLASSES, FEATURES, strict=True)],
    "fasttext": [f"__label__L{c} w{3 * c + f} x{f}" for c, f in zip(CLASSES, FEATURES, strict=True)],
}


@pytest.fixture(params=LINES)
def data(request, tmp_path):
    path = tmp_path / "data"
    path.write_text("\n".join(LINES[request.param]) + "\n")
    return str(path)


@pytest.fixture
def saved(monkeypatch):
    """What takes the place of files: the classifiers of the ranks by their number."""
    kept, load, save_alone = {}, loading.load, SoftmaxClassifier.save

    def save_part(self, path, *args, **kwargs):
        kept[self.comm.rank] = copy.copy(self)

    def load_part(path, comm=None):
        return load(path) if comm is None else copy.copy(kept[comm.rank])

    def save(self, *args, **kwargs):
        (save_alone if self.comm is None else save_part)(self, *args, **kwargs)

    monkeypatch.setattr(SoftmaxClassifier, "save", save)
    monkeypatch.setattr(loading, "load", load_part)
    return kept


def run(n_ranks, *command_lines):
    """The exit statuses of each rank, one for each command line."""

    def on(ranks):
        statuses = []
        for arguments in command_lines:
            if ranks.rank:
                statuses.append(Member(ranks).follow())
                continue
            with Leader(ranks) as leader:
                leader.status = cli._main(arguments, leader)
            statuses.append(leader.status)
        return statuses

    return thread_ranks.run(n_ranks, on)


def test_as_one_process(data, saved, tmp_path, capsys):
    path = str(tmp_path / "model")
    lines = (["train", data, "-o", path, "--epochs", "3"], ["predict", path, data, "-k", "2"], ["evaluate", path, data])
    assert [cli.main(line) for line in lines] == [0, 0, 0]
    expected = capsys.readouterr().out
    lines[0][3] = str(tmp_path / "folder")
    assert run(3, *lines) == [[0, 0, 0]] * 3
    assert sorted(saved) == [0, 1, 2] and [saved[rank]._model.n_classes for rank in range(3)] == [4, 4, 4]
    output = capsys.readouterr().out
    expected, output = ([line for line in text.splitlines() if "\t" in line] for text in (expected, output))
    assert len(output) == len(expected) > 600
    for text, other in zip("\t".join(output).split("\t"), "\t".join(expected).split("\t"), strict=True):
        assert text == other or float(text) == pytest.approx(float(other), rel=1e-3)


def test_validation_by_ranks(data, saved, tmp_path, capsys):
    folder = str(tmp_path / "folder")
    assert run(3, ["train", data, "-o", folder, "--epochs", "2", "--validate", data]) == [[0]] * 3
    validated = capsys.readouterr().out
    assert run(3, ["evaluate", folder, data]) == [[0]] * 3
    assert capsys.readouterr().out == validated and validated.startswith("n\t600\n")
    error = "DATA cannot be standard input where there are 2 ranks"
    assert run(2, ["train", data, "-o", folder, "--validate", "-"]) == [[1]] * 2 and error in capsys.readouterr().err


def test_fewer_rows_than_ranks(saved, tmp_path, capsys):
    few, one = tmp_path / "few", tmp_path / "one"
    few.write_text("1 0:1\n2 1:1\n3 2:1\n")
    one.write_text("0 0:1\n")
    assert run(3, ["train", str(few), "-o", "m", "--quiet"], ["predict", "m", str(one), "-k", "3"]) == [[0, 0]] * 3
    (line,) = capsys.readouterr().out.splitlines()
    assert sorted(line.split("\t")[::2]) == ["1", "2", "3"]

    assert run(4, ["train", str(few), "-o", "m"]) == [[1]] * 4
    assert capsys.readouterr().err.count("comm has 4 ranks, and y only 3 classes") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "model"], "DATA cannot be standard input where there are 2 ranks"),
        (["train", "{data}", "-o", "{data}"], "a model in several files needs a folder, and this is none"),
        (["train", "{data}", "-o", "model", "--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["train", "{data}", "-o", "model", "--threads", "0"], "--threads must be"),
    ],
)
def test_what_all_ranks_would_say_is_said_once(data, arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(2, [a.format(data=data) for a in arguments]) == [[1], [1]]
    error = capsys.readouterr().err
    assert error.count(said) == error.count("fastsoftmax") == 1, error


def test_errors_of_other_ranks_name_them(monkeypatch, capsys):
    def load(path, comm):
        raise OSError("damaged" if comm.rank < 2 else f"cut short, {path}")

    monkeypatch.setattr(loading, "load", load)
    assert run(3, ["predict", "model", "data"]) == [[1]] * 3
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "fastsoftmax: error: damaged",
        "fastsoftmax: rank 2: error: cut short, model",
    ]


def test_the_launchers_that_are_known():
    assert launch.place({}) == (1, 0, 0)
    assert launch.place({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}) == (
        4, 3, 1,
    )  # fmt: skip
    assert launch.place({"PMI_SIZE": "4", "PMI_RANK": "3"}) == (4, 3, 3)
    slurm = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "0"}
    assert launch.place(slurm) == (1, 0, 0)  # a batch script, or a task of srun without MPI
    assert launch.place(slurm | {"PMIX_RANK": "2"}) == (4, 2, 0)


def test_threads_of_ranks_that_share_a_machine(monkeypatch):
    monkeypatch.setattr(launch.threads, "n_cpus", lambda: 7)
    for given, expected in ((True, [None] * 3), (False, [2] * 3)):
        monkeypatch.setattr(launch.threads, "DEFAULT_IS_GIVEN", given)
        assert thread_ranks.run(3, launch.default_threads) == expected


def test_without_mpi4py(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    for rank in ("0", "1"):
        monkeypatch.setenv("OMPI_COMM_WORLD_RANK", rank)
        monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_RANK", rank)
        assert cli.main(["train", "data", "-o", str(tmp_path / "model")]) == 1
        error = capsys.readouterr().err
        assert ("a start of 4 processes together needs" in error and 'pip install "fastsoftmax[mpi]"' in error) == (
            rank == "0"
        ), error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AttributeError("a class of another version")])
def test_what_ends_a_rank_that_waits_ends_all(error, capsys):
    class Waiting(Ranks):
        def told(self, value=None):
            raise error

    with pytest.raises(SystemExit, match="1"):
        Member(Waiting()).follow()
    assert ("of another version" in capsys.readouterr().err) == isinstance(error, AttributeError)
