"""Memory maps that ranks pass: which of them are one and the same, so that each rank has all rows."""

import os

import numpy as np
import pytest
import scipy.sparse as sp
from problems import K, classifier, part, rows
from thread_ranks import run

from fastsoftmax.distributed import rows as rows_of_ranks
from fastsoftmax.distributed.rows import are_common

N, D = 400, 8
LABELS = np.arange(N) % K


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((N, D)).astype(np.float32))
    return tmp_path / "x.npy"


@pytest.fixture
def read_by(monkeypatch):
    """How many arrays were read for their checksums, in a list."""
    read, checksum = [], rows_of_ranks._checksum
    monkeypatch.setattr(rows_of_ranks, "_checksum", lambda a: read.append(len(a)) or checksum(a))
    return read


def on_another_machine(ranks):
    """Let the rank be the only one on its machine."""
    ranks.common = lambda make: make()


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_one_rank_of_a_machine_reads_the_file(path, mode, read_by):
    assert run(3, lambda ranks: are_common(ranks, np.load(path, mmap_mode=mode)[10:])) == [True] * 3
    assert read_by == [N - 10]


def test_csr_of_three_maps(tmp_path, read_by):
    X, _ = rows()
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))

    def on(ranks):
        mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
        return are_common(ranks, sp.csr_array(tuple(mapped), shape=X.shape, copy=False))

    assert run(2, on) == [True] * 2
    assert read_by == [len(X.data), len(X.indices), len(X.indptr)]


def test_maps_that_are_written_to_in_memory_are_parts(path):
    """Each rank writes rows of its own over the file's, and trains with the others' as with any other array."""
    all_rows = np.random.default_rng(1).random((2 * N, D)).astype(np.float32)

    def on(ranks, mapped=True):
        own = slice(N * ranks.rank, N * (ranks.rank + 1))
        X = all_rows[own]
        if mapped:
            X = np.load(path, mmap_mode="c")
            X[:] = all_rows[own]
        model = classifier(ranks, hidden_size=4, loss="softmax").fit(X, LABELS)
        return model.loss_curve_, model.predict_topk(X, 3)[0].tolist()

    assert run(2, on) == run(2, lambda ranks: on(ranks, mapped=False))


@pytest.mark.parametrize("order", ["C", "F", "gaps"])
def test_files_of_one_name_on_two_machines(tmp_path, order, read_by):
    values = np.random.default_rng(0).random((N, D))
    for rank, name in enumerate(("x.npy", "y.npy")):
        values[-1, -2] += rank
        np.save(tmp_path / name, np.asarray(values, order="F" if order == "F" else "C"))

    def on(ranks, differ):
        on_another_machine(ranks)
        X = np.load(tmp_path / ("y.npy" if differ and ranks.rank else "x.npy"), mmap_mode="r")
        X.filename = str(tmp_path / "x.npy")  # so it is called on each of them
        return are_common(ranks, X[:, ::2] if order == "gaps" else X)

    assert run(2, lambda ranks: on(ranks, False)) == [True] * 2
    assert run(2, lambda ranks: on(ranks, True)) == [False] * 2
    assert len(read_by) == 4


def test_files_of_another_size(path, monkeypatch):
    def on(ranks):
        on_another_machine(ranks)
        return are_common(ranks, np.load(path, mmap_mode="r"))

    sizes, file = iter([1, 2]), rows_of_ranks._file
    monkeypatch.setattr(rows_of_ranks, "_file", lambda a: file(a)._replace(st_size=next(sizes)))
    assert run(2, on) == [False] * 2


def test_a_file_that_has_been_removed(path, read_by):
    maps = [np.load(path, mmap_mode="r") for _ in range(2)]
    os.remove(path)
    assert run(2, lambda ranks: are_common(ranks, maps[ranks.rank])) == [True] * 2
    assert len(read_by) == 3  # the first rank's twice, since nothing says that the file of the others is the same


def test_predictions_for_parts_and_for_all_rows(path):
    X, y = rows()
    dense = X.toarray()
    np.save(path, dense)

    def on(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1).fit(X[part(ranks)], y[part(ranks)])
        copied = np.load(path, mmap_mode="c")
        return [len(model.predict_topk(a, 2)[0]) for a in (np.load(path, mmap_mode="r"), copied[part(ranks)])]

    for rank, (n_common, n_own) in enumerate(run(2, on)):
        assert n_common == N and n_own == (162, 238)[rank]
