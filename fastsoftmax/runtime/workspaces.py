"""Scratch memory that is kept: fresh pages cost as much as the work in them."""

import math
from contextlib import contextmanager

import numpy as np

WORKING_MEMORY = 256 << 20  # bytes; default of every `working_memory`
CACHE_LINE = 64


class Workspace:
    """Scratch arrays that live from batch to batch: fresh pages would cost as much as the work."""

    def __init__(self):
        self._buffers = {}

    @property
    def nbytes(self):
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def array(self, name, shape, dtype):
        """An array with undefined contents, valid until the same name is asked for again; starts on a cache line."""
        n_bytes = int(math.prod(shape)) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < n_bytes:
            self._buffers.pop(name, None)  # before there is a larger one
            buffer = None
            raw = np.empty(n_bytes + CACHE_LINE, np.uint8)
            skip = -raw.ctypes.data % CACHE_LINE
            buffer = self._buffers[name] = raw[skip : skip + n_bytes]
        return buffer[:n_bytes].view(dtype).reshape(shape)


_spare = []  # at most one Workspace, from call to call


@contextmanager
def workspace():
    """A Workspace for the time of one call, and of later ones: fresh pages cost up to a fifth of the time of a call.

    Up to WORKING_MEMORY bytes stay allocated.
    """
    try:
        workspace = _spare.pop()
    except IndexError:  # the first call, or another Python thread has it
        workspace = Workspace()
    yield workspace
    if workspace.nbytes <= WORKING_MEMORY and not _spare:
        _spare.append(workspace)
