"""Files and memory: what can be told before the work."""

import os

from fastsoftmax import _memory


def check_writable(name, path):
    """A path where a file can be written: told before the work whose result goes there."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name} cannot be {str(path)!r}: {folder} is not a folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(f"{name} cannot be {str(path)!r}: it is there, and not a file")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{name} cannot be {str(path)!r}: {folder} cannot be written to")


def check_memory(what, n_bytes, formula):
    """MemoryError unless `n_bytes` are there, saying what needs them and how they add up."""
    free = _memory.available()
    if free is not None and n_bytes > free:
        raise MemoryError(
            f"{what} needs {n_bytes / 2**30:.2f} GiB ({formula}), but only {free / 2**30:.2f} GiB are available"
        )
