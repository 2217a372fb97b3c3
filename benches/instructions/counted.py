"""The process that callgrind watches: ``python -m ... SHIM`` runs every kernel once, then counts each in a further run."""

import ctypes
import gc
import sys

from .kernels import KERNELS


def main(shim):
    """Run and count all kernels; `shim` is the path of the compiled measure.REQUESTS, which do nothing outside valgrind."""
    requests = ctypes.CDLL(shim)
    calls = {name: prepare() for name, prepare in KERNELS.items()}
    for call in calls.values():
        call()
    gc.disable()
    requests.start()  # once, since each start makes valgrind translate all code again
    for name, call in calls.items():
        requests.zero()
        call()
        requests.dump(name.encode())


if __name__ == "__main__":
    main(sys.argv[1])
