"""Scratch memory between guard bytes: a kernel that writes beyond it is found without a sanitizer.

Each array of a Workspace is exactly as long as it was asked for, so that a sanitizer sees its ends too, where the library
itself may hand out the beginning of a larger buffer. And it is full of NaN, which shows where it is read before it is written.
"""

import math
from contextlib import contextmanager
from unittest import mock

import numpy as np

from fastsoftmax.runtime import workspaces

GUARD = 4096  # bytes before and behind an array: a multiple of what arrays are aligned to
FILL = 255  # in every byte: a NaN in all types of floats, and -1 in integers


@contextmanager
def guarded_workspaces():
    """Inside, the arrays of all workspaces have guards, which are checked when a name is asked for again, and at the end."""
    used = []  # all workspaces, also those that are gone by the end

    def array(self, name, shape, dtype):
        if self not in used:
            used.append(self)
        _check(self, name)
        n_bytes = int(math.prod(shape)) * np.dtype(dtype).itemsize
        raw = np.full(GUARD + n_bytes + GUARD + workspaces.CACHE_LINE, FILL, np.uint8)
        skip = -raw.ctypes.data % workspaces.CACHE_LINE
        whole = self._buffers[name] = raw[skip : skip + GUARD + n_bytes + GUARD]
        return whole[GUARD : GUARD + n_bytes].view(dtype).reshape(shape)

    workspaces._spare.clear()
    try:
        with mock.patch.object(workspaces.Workspace, "array", array):
            yield
        for workspace in used:
            for name in workspace._buffers:
                _check(workspace, name)
    finally:
        workspaces._spare.clear()


def _check(workspace, name):
    whole = workspace._buffers.get(name)
    if whole is not None:
        assert (whole[:GUARD] == FILL).all() and (whole[-GUARD:] == FILL).all(), f"beyond the scratch {name!r}"
