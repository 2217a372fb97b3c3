"""What test_mpi.py runs under mpiexec: `mpi_program.py NAME...`, where each NAME is one of the functions below."""

import copy
import errno
import gc
import os
import signal
import sys
import time
import traceback
import weakref
from unittest import mock

import numpy as np
from mpi4py import MPI
from problems import classifier, part, rows
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from fastsoftmax.distributed.mpi import MPIRanks, ranks_of
from fastsoftmax.model.runner import Runner
from fastsoftmax.terms import LowRank

COMM = MPI.COMM_WORLD


def exchanges():
    ranks = ranks_of(COMM)
    assert ranks is ranks_of(COMM) and (ranks.rank, ranks.size) == (COMM.rank, COMM.size)
    everyone = range(ranks.size)
    for dtype in (np.float32, np.float64, np.int64, np.uint8):
        own = np.arange(6, dtype=dtype).reshape(2, 3) + ranks.rank
        assert np.array_equal(ranks.gather(own), [np.arange(6).reshape(2, 3) + r for r in everyone])
        added = own.copy()
        ranks.add(added)
        assert np.array_equal(added, sum(np.arange(6).reshape(2, 3) + r for r in everyone)) and added.dtype == dtype
        collected = ranks.collect(np.full((ranks.rank, 2), ranks.rank, dtype))
        assert np.array_equal(collected, np.repeat(everyone, everyone)[:, None].repeat(2, 1))
        assert collected.dtype == dtype and not collected.flags.writeable
    assert ranks.objects(str(ranks.rank)) == [str(r) for r in everyone]
    assert ranks.first([ranks.rank]) == [0]
    before = ranks.bytes_sent
    ranks.gather(np.zeros(10))
    ranks.add(np.zeros(10, np.float32))
    assert ranks.bytes_sent - before == 120 and ranks.seconds > 0
    assert len(ranks.collect(np.zeros((0, 3)))) == 0
    made = ranks.common(lambda: (np.arange(1000) + COMM.rank, [np.ones((3, 2), np.float32)], {"a": "b"}))
    assert np.array_equal(made[0], np.arange(1000)) and not made[0].flags.writeable  # rank 0's: there is one machine
    assert np.array_equal(made[1][0], np.ones((3, 2))) and made[2] == {"a": "b"}
    assert np.array_equal(ranks.common(lambda: np.array(["x", None], object)), ["x", None])
    try:
        ranks.common(lambda: 1 / (COMM.rank - COMM.rank))
    except ZeroDivisionError:
        return
    raise AssertionError("what one rank of a machine raises must be raised on all")


def training():
    X, y = rows()
    ranks = ranks_of(COMM)
    divided = {"loss": "softmax", "hidden_size": LowRank(8, divide=True)}
    for params in ({"loss": "softmax", "hidden_size": 8}, {"direct": "sparse", "hidden_size": 8}, divided):
        alone, together = classifier(**params).fit(X, y), classifier(COMM, **params).fit(X[part(ranks)], y[part(ranks)])
        np.testing.assert_allclose(together.loss_curve_, alone.loss_curve_, rtol=1e-5)
        _, log_proba = together.predict_topk(X[part(ranks)], 5)
        np.testing.assert_allclose(log_proba, alone.predict_topk(X[part(ranks)], 5)[1], atol=2e-5)
        assert together.score(X[part(ranks)], y[part(ranks)]) == alone.score(X, y)


def an_error_on_all():
    X, y = rows()
    X.data[-1] = np.nan  # in the last rank's part
    own = part(ranks_of(COMM))
    try:
        classifier(COMM).fit(X[own], y[own])
    except ValueError as error:
        assert f"rank {COMM.size - 1}" in str(error) or COMM.rank == COMM.size - 1
        return
    raise AssertionError("there was no error")


def parts_of_a_communicator():
    X, y = rows()
    half = COMM.Split(COMM.rank % 2)
    expected = classifier(hidden_size=4).fit(X, y)
    own = part(ranks_of(half))
    model = classifier(half, hidden_size=4).fit(X[own], y[own])
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-5)


def copies():
    """A communicator that was split cannot be copied: clones and copies of a classifier have the same."""
    X, y = rows()
    half = COMM.Split(COMM.rank % 2)
    own = part(ranks_of(half))
    model = classifier(half, hidden_size=4, max_iter=1).fit(X[own], y[own])
    for other in (clone(model).fit(X[own], y[own]), clone(make_pipeline(model))[0], copy.deepcopy(model)):
        assert other is not model and other.comm is half
    np.testing.assert_array_equal(other.predict(X[own]), model.predict(X[own]))


def memory():
    """Two machines of two ranks each, of which there is one in truth."""
    ranks = MPIRanks(COMM, COMM.Split(COMM.rank // 2))
    _too_little_memory(ranks)
    _one_array_is_kept(ranks)
    n_open, opened = len(os.listdir("/proc/self/fd")), os.open

    def refuse(*args):
        raise PermissionError(errno.EPERM, "not here")

    def another_one(path, *args):
        return opened(__file__, os.O_RDONLY)

    for function in (opened, refuse, another_one):
        with (
            mock.patch("os.open", function if COMM.rank == 3 else opened),
            mock.patch("fastsoftmax.distributed.mpi.MESSAGE", 100),
        ):
            _collected_and_common(ranks)
    with mock.patch(
        "fastsoftmax.distributed.shared_memory.os", mock.Mock(spec=[])
    ):  # as of a system without such memory
        _collected_and_common(ranks)
    assert len(os.listdir("/proc/self/fd")) == n_open


def _one_array_is_kept(ranks):
    """Of two arrays that are made at once, each takes memory for as long as it is there itself."""

    def n_shared():
        with open("/proc/self/maps") as maps:
            return sum("memfd:fastsoftmax" in line for line in maps)

    large, small, larger = ranks.common(lambda: [np.arange(20_000), np.arange(10), np.arange(200_000)])
    assert n_shared() == 2 and not small.flags.writeable
    del larger
    assert n_shared() == 1 and np.array_equal(large, np.arange(20_000)) and np.array_equal(small, np.arange(10))
    del large
    assert n_shared() == 0


def _collected_and_common(ranks):
    own = np.arange(90.0).reshape(30, 3)[: 10 * COMM.rank] + COMM.rank
    out = ranks.collect(own)
    assert np.array_equal(out, np.concatenate(COMM.allgather(own))) and not out.flags.writeable
    made = ranks.common(lambda: [np.arange(20_000) + COMM.rank, np.arange(3)])
    assert np.array_equal(made[0], np.arange(20_000) + COMM.rank // 2 * 2) and np.array_equal(made[1], np.arange(3))
    assert not made[0].flags.writeable and not made[1].flags.writeable


def _too_little_memory(ranks):
    def fail(*args):
        raise OSError(errno.ENOSPC, "none is left")

    n_open = len(os.listdir("/proc/self/fd"))
    with mock.patch("os.posix_fallocate", fail):
        try:
            ranks.collect(np.zeros((3, 2)))
        except MemoryError as error:
            assert "none is left" in str(error)
        else:
            raise AssertionError("there was no memory")
    assert len(os.listdir("/proc/self/fd")) == n_open


def communicators_that_are_freed():
    """MPI uses the handle of one for the next one, in which ranks have other numbers."""
    n_reused = 0
    for direction in (1, -1, 1, -1):
        half = COMM.Split(COMM.rank % 2, direction * COMM.rank)
        handle, ranks = half.handle, ranks_of(half)
        assert ranks is ranks_of(half) and (ranks.rank, ranks.size) == (half.rank, half.size)
        assert ranks.objects(COMM.rank) == half.allgather(COMM.rank)
        duplicate = half.Dup()
        assert ranks_of(duplicate) is not ranks
        duplicate.Free()
        gone = weakref.ref(ranks)
        half.Free()
        assert ranks.objects(COMM.rank)[ranks.rank] == COMM.rank  # as by a model that has them still
        del ranks
        gc.collect()
        assert gone() is None
        next_one = COMM.Split(COMM.rank % 2, -direction * COMM.rank)
        n_reused += next_one.handle == handle
        assert ranks_of(next_one).rank == next_one.rank
        next_one.Free()
    alone = COMM.Split(COMM.rank)
    assert ranks_of(alone).size == 1
    print(f"{n_reused} handles were used again")


def _fit_until(event):
    """Train until rank 1 is in its fifth step, in which `event` happens."""
    X, y = rows()
    step, n = Runner.step, [0]

    def counted(self, *args, **kwargs):
        n[0] += 1
        if n[0] == 5 and COMM.rank == 1:
            event()
        return step(self, *args, **kwargs)

    Runner.step = counted
    own = part(ranks_of(COMM))
    classifier(COMM, hidden_size=4, loss="softmax", max_iter=1000).fit(X[own], y[own])


def one_rank_fails():
    def fail():
        raise MemoryError("there is no more")

    _fit_until(fail)


def one_rank_exits_at_once():
    """Both fail, of different errors, and rank 0 exits before rank 1 can say a word."""
    try:
        with ranks_of(COMM).all_or_none():
            raise MemoryError("the first") if COMM.rank == 1 else ValueError("the second")
    except ValueError:
        traceback.print_exc()
        os._exit(3)
    except MemoryError:
        time.sleep(60)  # the launcher ends it


def one_rank_is_killed():
    _fit_until(lambda: os.kill(os.getpid(), signal.SIGKILL))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[name]()
        print(f"rank {COMM.rank} is done", flush=True)
