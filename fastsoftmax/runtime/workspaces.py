"""Scratch memory that is kept for reuse, since fresh pages cost as much as the work in them."""

import math
from contextlib import contextmanager

import numpy as np

WORKING_MEMORY = 256 << 20  # bytes; the default of every `working_memory`
CACHE_LINE = 64


class Workspace:
    """Scratch arrays, each under a name, that live from batch to batch."""

    def __init__(self):
        self._buffers = {}
        self._arrays = {}  # the last array of each name with its shape and dtype: most batches ask for the same again

    @property
    def nbytes(self):
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def array(self, name, shape, dtype):
        """An array of undefined contents that starts on a cache line. It is valid until its name is asked for again."""
        last = self._arrays.get(name)
        if last is not None and last[1] is dtype and last[0] == shape:
            return last[2]
        n_bytes = int(math.prod(shape)) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < n_bytes:
            last = buffer = None
            self._arrays.pop(name, None)  # its memory is free before the larger one is allocated
            self._buffers.pop(name, None)
            raw = np.empty(n_bytes + CACHE_LINE, np.uint8)
            skip = -raw.ctypes.data % CACHE_LINE
            buffer = self._buffers[name] = raw[skip : skip + n_bytes]
        array = np.ndarray(shape, dtype, buffer)
        self._arrays[name] = shape, dtype, array
        return array


_spare = []  # at most one Workspace, kept from call to call


@contextmanager
def workspace():
    """A Workspace for one call, which a later call uses again: fresh pages would cost up to a fifth of its time.

    Up to WORKING_MEMORY bytes stay allocated between calls.
    """
    try:
        workspace = _spare.pop()
    except IndexError:  # the first call, or another Python thread has it
        workspace = Workspace()
    yield workspace
    if workspace.nbytes <= WORKING_MEMORY and not _spare:
        _spare.append(workspace)
