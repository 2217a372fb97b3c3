"""Where the large arrays of a model lie: in memory, or in files that are mapped into it."""

import mmap
import os
import tempfile

import numpy as np

SMALLEST_FILE = 1 << 20  # bytes of an array that gets a file


class InMemory:
    """Arrays as NumPy makes them."""

    def zeros(self, shape, dtype, order="C"):
        return np.zeros(shape, dtype, order=order)

    def copy(self, a):
        """A writable copy of `a`, laid out as it is."""
        out = self.zeros(a.shape, a.dtype, "C" if a.flags.c_contiguous else "F")
        out[...] = a
        return out

    def scaled(self, a, factor):
        """``factor * a``, in the dtype of `a`."""
        out = self.zeros(a.shape, a.dtype, "C" if a.flags.c_contiguous else "F")
        return np.multiply(a, factor, out=out, casting="same_kind")


class InFiles(InMemory):
    """Arrays in files of `folder` that have no name: they go with the arrays, and with the process however it ends.

    The space is allocated at once, since a full disk would otherwise kill the process at some step (SIGBUS). Small arrays
    stay in memory.
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
    """InFiles of `folder`, or InMemory where it is None."""
    return IN_MEMORY if folder is None else InFiles(folder)
