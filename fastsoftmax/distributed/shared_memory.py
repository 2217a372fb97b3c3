"""Arrays that the processes of one machine share. Their memory is free again once none of them has the array any more."""

import mmap
import os

import numpy as np


def shared_array(machine, shape, dtype):
    """An array (zeros) that all ranks of the communicator `machine` have in common; where the system has none, one for each.

    The memory has no name, so that nothing is left behind by processes that are killed: the others open it by way of the
    first one's list of open files.
    """
    dtype = np.dtype(dtype)
    n_bytes = max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    if machine.Get_size() == 1 or not hasattr(os, "memfd_create"):
        return np.zeros(shape, dtype)
    file, error = None, None
    if machine.Get_rank() == 0:
        try:
            file = os.memfd_create("fastsoftmax")
            os.posix_fallocate(file, 0, n_bytes)  # or a lack of memory would be a bus error later
        except OSError as raised:
            error = raised
            if file is not None:
                os.close(file)
    pid, number, error = machine.bcast((os.getpid(), file, error))
    if error is not None:
        raise MemoryError(f"{n_bytes:,} bytes for rows that the ranks of a machine share: {error}")
    try:
        if file is None:
            file = os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR)
        memory = mmap.mmap(file, n_bytes)
        machine.Barrier()  # before the first one closes it
    finally:
        os.close(file)
    return np.frombuffer(memory, dtype, count=int(np.prod(shape, dtype=np.int64))).reshape(shape)
