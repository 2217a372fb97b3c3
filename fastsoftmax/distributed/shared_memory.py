"""Arrays that the processes of one machine share. Their memory is free again once none of them has the array any more."""

import contextlib
import mmap
import os

import numpy as np


def shared_array(machine, shape, dtype):
    """An array (zeros) of all ranks of the communicator `machine`, and whether they have it in common: (array, is_shared).

    Where the system has no such memory, or a rank cannot open it, each has an array of its own, and has to be sent what the
    others write. The memory has no name, so that nothing is left behind by processes that are killed: the others open it by
    way of the first one's list of open files.
    """
    dtype, n = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
    if machine.Get_size() == 1:
        return np.zeros(shape, dtype), True
    memory = _common_memory(machine, max(1, n * dtype.itemsize)) if hasattr(os, "memfd_create") else None
    if memory is None:
        return np.zeros(shape, dtype), False
    return np.frombuffer(memory, dtype, count=n).reshape(shape), True


def _common_memory(machine, n_bytes):
    """An mmap of the same memory on all ranks; None on all of them where one cannot open it."""
    is_first, file, memory = machine.Get_rank() == 0, None, None
    try:
        place = None
        if is_first:
            try:
                file = os.memfd_create("fastsoftmax")
                os.posix_fallocate(file, 0, n_bytes)  # or a lack of memory would be a bus error later
                place = os.getpid(), file, _identity(file)
            except OSError as error:
                place = error
        place = machine.bcast(place)
        if isinstance(place, OSError):
            raise MemoryError(f"{n_bytes:,} bytes for rows that the ranks of a machine share: {place}")
        with contextlib.suppress(OSError):  # which all ranks learn of below
            file = file if is_first else _opened(*place)
            memory = None if file is None else mmap.mmap(file, n_bytes)
        return memory if all(machine.allgather(memory is not None)) else None  # before the first one closes it
    finally:
        if file is not None:
            os.close(file)


def _opened(pid, number, identity):
    """The file that another process has open under `number`; None where the process is not what this one calls `pid`.

    So it is in containers, which number processes on their own.
    """
    file = os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR)
    if _identity(file) == identity:
        return file
    os.close(file)
    return None


def _identity(file):
    found = os.fstat(file)
    return found.st_dev, found.st_ino
