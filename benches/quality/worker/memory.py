"""Peak resident memory of a piece of code, where Linux lets a process reset its own high-water mark."""

import contextlib
import ctypes
import sys

import numpy as np

AVAILABLE = sys.platform == "linux"


def _status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


class Peak:
    """`with Peak() as peak`: afterwards `peak.beyond(result)` is the highest memory inside, less before and the result's."""

    def __enter__(self):
        self.bytes = None
        self.before = None
        if AVAILABLE:
            # Without glibc there is no malloc_trim, in some containers no clear_refs
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not be reused unseen
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
