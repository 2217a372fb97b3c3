"""Ranks that are threads of one process: what is distributed can be tested without MPI, and every exchange is checked."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastsoftmax.runtime.ranks import Ranks

PATIENCE = 60  # seconds that a rank waits for others before its test fails


class Exchange:
    """Where the threads meet."""

    def __init__(self, size):
        self.size, self.barrier, self.values = size, threading.Barrier(size), [None] * size

    def all(self, rank, value):
        self.values[rank] = value
        self.barrier.wait(PATIENCE)
        values = list(self.values)
        self.barrier.wait(PATIENCE)
        return values


class ThreadRanks(Ranks):
    """One thread's view."""

    def __init__(self, exchange, rank):
        self.exchange, self.rank, self.size = exchange, rank, exchange.size
        self.bytes_sent = 0

    def objects(self, value):
        return [pickle.loads(v) for v in self.exchange.all(self.rank, pickle.dumps(value))]

    def gather(self, a):
        self.bytes_sent += a.nbytes
        values = self.objects(a.copy())
        assert len({(value.shape, value.dtype) for value in values}) == 1, "arrays of different shapes meet"
        return np.stack(values)

    def add(self, a):
        assert a.flags.c_contiguous
        a[...] = self.gather(a).sum(axis=0, dtype=a.dtype)

    def common(self, make):
        made = None
        with self.together():
            made = None if self.rank else make()
        return self.first(made)

    def collect(self, a):
        return np.concatenate(self.objects(a))


def run(size, function):
    """What `function(ranks)` returns on each of `size` ranks; the first error that one raises is raised."""
    exchange = Exchange(size)

    def on(rank):
        try:
            return function(ThreadRanks(exchange, rank))
        except BaseException:
            exchange.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(on, rank) for rank in range(size)]
    errors = [e for f in futures if (e := f.exception()) is not None]
    errors.sort(key=lambda e: isinstance(e, threading.BrokenBarrierError))
    if errors:
        raise errors[0]
    return [f.result() for f in futures]
