"""The ranks of an MPI communicator, by mpi4py."""

import contextlib
import functools
import pickle
import time

import numpy as np

from fastsoftmax.distributed import failing
from fastsoftmax.distributed.shared_memory import shared_array
from fastsoftmax.runtime.ranks import ONE, Ranks
from fastsoftmax.validation import check_communicator

MESSAGE = 1 << 30  # bytes that are sent at a time: MPI counts in 32 bits
SMALL = 1 << 16  # bytes below which an array is sent, and not shared
TOLD = 18  # the tag of what rank 0 tells the others


def ranks_of(comm):
    """The Ranks of `comm`, the parameter of an estimator: an mpi4py communicator, Ranks, or None, which is one rank."""
    if comm is None or isinstance(comm, Ranks):
        return ONE if comm is None else comm
    check_communicator("comm", comm)
    return ONE if comm.Get_size() == 1 else MPIRanks.of(comm)


class MPIRanks(Ranks):
    """The ranks of an mpi4py communicator, which share the memory of rows where they are on one machine."""

    def __init__(self, comm, machine=None):
        """machine : communicator of the ranks of `comm` that share memory, in the same order; None: those of one machine"""
        from mpi4py import MPI

        self.comm, self.rank, self.size = comm.Dup(), comm.Get_rank(), comm.Get_size()
        self.failures = failing.Failures(comm.Dup())
        self.machine = self.comm.Split_type(MPI.COMM_TYPE_SHARED, key=self.rank) if machine is None else machine
        is_leader = self.machine.Get_rank() == 0
        self.leaders = self.comm.Split(0 if is_leader else MPI.UNDEFINED, key=self.rank)
        leaders = self.comm.allgather(self.rank if is_leader else None)
        self.leader_ranks = [rank for rank in leaders if rank is not None]
        self.leader_of = self.comm.allgather(self.machine.bcast(self.rank))
        self.bytes_sent, self.seconds = 0, 0.0

    @classmethod
    def of(cls, comm):
        """The ranks of `comm`, the same each time, for as long as it lives: MPI uses the handles of freed ones again.

        Their communicators are not freed with it: models that were trained by them may live on.
        """
        ranks = comm.Get_attr(_attribute())
        if ranks is None:
            ranks = cls(comm)
            comm.Set_attr(_attribute(), ranks)
        return ranks

    @contextlib.contextmanager
    def _timed(self, n_bytes):
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start
        self.bytes_sent += n_bytes

    def gather(self, a):
        a = np.ascontiguousarray(a)
        out = np.empty((self.size, *a.shape), a.dtype)
        with self._timed(a.nbytes):
            self.comm.Allgather(_as_bytes(a), _as_bytes(out))
        return out

    def add(self, a):
        from mpi4py import MPI

        with self._timed(a.nbytes):
            self.comm.Allreduce(MPI.IN_PLACE, a)

    def objects(self, value):
        return self.comm.allgather(value)

    def told(self, value=None):
        if self.rank == 0:
            for request in [self.comm.isend(value, other, TOLD) for other in range(1, self.size)]:
                request.wait()
            return value
        pause = 1e-5
        while not self.comm.iprobe(0, TOLD):  # which, unlike `recv`, does not keep a core busy
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        return self.comm.recv(source=0, tag=TOLD)

    def end_all(self, status):
        failing.end_all(self.comm, status)

    def collect(self, a):
        a = np.ascontiguousarray(a)
        lengths = self.objects(len(a))
        ends = np.cumsum(lengths)
        out, is_shared = shared_array(self.machine, (int(ends[-1]), *a.shape[1:]), a.dtype)
        parts = [_as_bytes(out[end - n : end]) for n, end in zip(lengths, ends, strict=True)]
        parts[self.rank][:] = _as_bytes(a)
        self.machine.Barrier()
        if not is_shared:
            here = [
                part for part, leader in zip(parts, self.leader_of, strict=True) if leader == self.leader_of[self.rank]
            ]
            for root, part in enumerate(here):
                self._send(self.machine, part, root)
        # now each machine has the rows of its own ranks
        if len(self.leader_ranks) > 1 and self.machine.Get_rank() == 0:
            for part, leader in zip(parts, self.leader_of, strict=True):
                self._send(self.leaders, part, self.leader_ranks.index(leader))
        return self._finished(out, is_shared)

    def _send(self, comm, part, root):
        """Send the bytes `part` of rank `root` of a communicator to its other ranks, in whose `part` they arrive."""
        with self._timed(len(part) if root == comm.Get_rank() else 0):
            for start in range(0, len(part), MESSAGE):
                comm.Bcast(part[start : start + MESSAGE], root=root)

    def _finished(self, out, is_shared):
        """The array of `shared_array`, complete on the first rank of the machine, as all of its ranks may use it."""
        if not is_shared:
            self._send(self.machine, _as_bytes(out), 0)
        self.machine.Barrier()
        out.flags.writeable = False
        return out

    def common(self, make):
        made, buffers = None, []
        with self.together():
            if self.machine.Get_rank() == 0:
                made = pickle.dumps(make(), protocol=5, buffer_callback=buffers.append)
        buffers = [buffer.raw() for buffer in buffers]
        parts = [bytes(buffer) if buffer.nbytes < SMALL else buffer.nbytes for buffer in buffers]
        made, parts = self.machine.bcast((made, parts))
        for i, part in enumerate(parts):
            if not isinstance(part, bytes):
                parts[i] = self._of_first(part, buffers[i] if buffers else None)
        return pickle.loads(made, buffers=parts)

    def _of_first(self, n_bytes, content):
        """The bytes that the first rank of the machine passes as `content`: memory of its own, free as soon as it can be."""
        out, is_shared = shared_array(self.machine, (n_bytes,), np.uint8)
        if content is not None:
            out[:] = content
        return self._finished(out, is_shared)

    @contextlib.contextmanager
    def all_or_none(self):
        try:
            yield
        except BaseException as error:
            self.failures.tell(error)
            raise


@functools.cache
def _attribute():
    """The key of the attribute of a communicator that its MPIRanks are; duplicates of it do not get them."""
    from mpi4py import MPI

    return MPI.Comm.Create_keyval()


def _as_bytes(a):
    """`a`, C contiguous, as MPI takes any type."""
    return a.reshape(-1).view(np.uint8)
