"""How all ranks end when one fails: otherwise the others would wait for it for ever.

A rank that raises tells all others. If all raise within some seconds, as where they diverge together, each raises its own
error, which a program may catch. If not, the others are waiting, and the rank that raised ends them all.
"""

import sys
import time
import traceback

PATIENCE = 5.0  # seconds in which all have to fail
TAG = 17


class Failures:
    """What ranks tell each other of their failures, on a communicator of its own."""

    def __init__(self, comm):
        self.comm = comm

    def tell(self, error):
        """Return once all ranks have failed; end them all where they have not."""
        rank, size = self.comm.Get_rank(), self.comm.Get_size()
        others = [other for other in range(size) if other != rank]
        requests = [self.comm.isend(None, other, TAG) for other in others]
        waiting, end = set(others), time.monotonic() + PATIENCE
        while waiting and time.monotonic() < end:
            for other in list(waiting):
                if self.comm.iprobe(other, TAG):
                    self.comm.recv(source=other, tag=TAG)
                    waiting.remove(other)
            time.sleep(0.01)
        if waiting:
            trace = "".join(traceback.format_exception(error))
            print(
                f"{trace}\nfastsoftmax: rank {rank} of {size} failed, which ends all: {error}",
                file=sys.stderr,
                flush=True,
            )
            self.comm.Abort(1)
        for request in requests:
            request.wait()
