"""Where the large arrays of a model lie: in memory, or in files that are mapped into memory."""

import mmap
import os
import tempfile

import numpy as np

SMALLEST_FILE = 1 << 20  # bytes of the smallest array that gets a file


class InMemory:
    """Allocates arrays as NumPy does."""

    def zeros(self, shape, dtype, order="C"):
        return np.zeros(shape, dtype, order=order)

    def copy(self, a):
        """A writable copy of `a` in the memory order of `a`."""
        out = self.zeros(a.shape, a.dtype, "C" if a.flags.c_contiguous else "F")
        out[...] = a
        return out

    def scaled(self, a, factor):
        """``factor * a`` as a new array, in the dtype and the memory order of `a`."""
        out = self.zeros(a.shape, a.dtype, "C" if a.flags.c_contiguous else "F")
        return np.multiply(a, factor, out=out, casting="same_kind")


class InFiles(InMemory):
    """Allocates arrays in nameless files of `folder`, which vanish with the arrays, and with the process however it ends.

    The space is allocated at once, since otherwise a full disk would kill the process at some later step (SIGBUS). Small
    arrays stay in memory.
    """

    def __init__(self, folder):
        self.folder = os.fspath(folder)

    def zeros(self, shape, dtype, order="C"):
        n_bytes = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if n_bytes < SMALLEST_FILE:
            return super().zeros(shape, dtype, order)
        with tempfile.TemporaryFile(prefix="fastsoftmax-", dir=self.folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:  # macOS
                file.truncate(n_bytes)
            buffer = mmap.mmap(file.fileno(), n_bytes)
        return np.frombuffer(buffer, dtype).reshape(shape, order=order)


IN_MEMORY = InMemory()


def of(folder):
    """What allocates arrays in `folder`, or in memory if it is None."""
    return IN_MEMORY if folder is None else InFiles(folder)
