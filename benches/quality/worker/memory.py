"""The peak of resident memory of a piece of code. Only Linux lets a process reset its own high-water mark."""

import contextlib
import ctypes
import sys

import numpy as np

AVAILABLE = sys.platform == "linux"


def _status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


class Peak:
    """After `with Peak() as peak`, `peak.beyond(result)` is the highest memory inside, less that before and the result's."""

    def __enter__(self):
        self.bytes = None
        self.before = None
        if AVAILABLE:
            # There is no malloc_trim without glibc, and no clear_refs in some containers.
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).malloc_trim(0)  # freed memory would be used again, which would not be seen
                with open("/proc/self/clear_refs", "w") as reset:
                    reset.write("5")
                self.before = _status("VmRSS")
        return self

    def __exit__(self, *_):
        if self.before is not None:
            self.bytes = _status("VmHWM") - self.before

    def beyond(self, result):
        return None if self.bytes is None else max(0, self.bytes - _size(result))


def _size(result):
    if isinstance(result, (tuple, list)):
        return sum(map(_size, result))
    if isinstance(result, np.ndarray):
        return result.nbytes
    if hasattr(result, "untyped_storage") and not result.is_sparse:  # a torch tensor
        return result.untyped_storage().nbytes()
    return 0
