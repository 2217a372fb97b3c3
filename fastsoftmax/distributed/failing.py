"""How all ranks end when one fails: otherwise the others would wait for it for ever.

A rank that raises tells all others, and what it says goes with it. If all raise within some seconds, as where they diverge
together, each raises its own error, which a program may catch. If not, the others are waiting, and the rank that raised ends
them all. The launcher may end a rank as soon as another one has exited: so errors have notes that say what others failed of,
a rank that has to wait says why at once, and one that ends all stays until the launcher has had time to pass on its words.
"""

import sys
import time
import traceback

from fastsoftmax.runtime.ranks import without_rank

PATIENCE = 5.0  # seconds in which all have to fail
QUIET = 0.5  # seconds after which a rank that waits for that says what it has failed of
LINGER = 0.5  # seconds for the launcher to read what was printed
TAG = 17


class Failures:
    """What ranks tell each other of their failures, on a communicator of its own."""

    def __init__(self, comm):
        self.comm = comm

    def tell(self, error):
        """Return once all ranks have failed; end them all where they have not."""
        rank, size = self.comm.Get_rank(), self.comm.Get_size()
        others = [other for other in range(size) if other != rank]
        requests = [self.comm.isend(_told(error), other, TAG) for other in others]
        waiting, begin, has_said = set(others), time.monotonic(), False
        while waiting and time.monotonic() < begin + PATIENCE:
            for other in list(waiting):
                if self.comm.iprobe(other, TAG):
                    _note(error, other, self.comm.recv(source=other, tag=TAG))
                    waiting.remove(other)
            if waiting and not has_said and time.monotonic() > begin + QUIET:
                _say(f"fastsoftmax: rank {rank} of {size} failed, and waits for the others to: {error}")
                has_said = True
            time.sleep(0.01)
        if waiting:
            trace = "".join(traceback.format_exception(error))
            _say(f"{trace}\nfastsoftmax: rank {rank} of {size} failed, which ends all: {error}")
            end_all(self.comm, 1)
        for request in requests:
            request.wait()


def end_all(comm, status):
    """End all ranks of a communicator with this exit status. What they have printed, and is not read yet, may be lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(LINGER)
    comm.Abort(status)


def _told(error):
    """What the others hear of an error: the name of its class, and its message."""
    return type(error).__name__, without_rank(error)


def _note(error, other, told):
    """Add what rank `other` has told to an error, unless it is the same."""
    note = f"fastsoftmax: rank {other} has failed too: {': '.join(told)}"
    if told[1] != without_rank(error) and note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _say(text):
    print(text, file=sys.stderr, flush=True)
