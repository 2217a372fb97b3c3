"""Methods of an object that run in one thread at a time."""

import functools
import os
import threading

_running = {}  # id of an object: (thread, name of the method) of the outermost exclusive method that runs on it


def _after_fork_in_child():
    """Forget the methods of threads that the child does not have."""
    for owner, (thread, _) in list(_running.items()):
        if thread != threading.get_ident():
            del _running[owner]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def exclusive(method):
    """A method that raises RuntimeError while another thread is in an exclusive method of the same object.

    It does not wait, so nothing can hang. In one thread such methods may call each other, as a callback of `fit` may `save`.
    The objects hold no lock, and so they can be copied and pickled at any time.
    """

    @functools.wraps(method)
    def alone(self, *args, **kwargs):
        mine = threading.get_ident(), method.__name__
        try:  # from here on, since Ctrl-C may come between any two steps
            first = _running.setdefault(id(self), mine)  # one step, which no other thread interrupts
            if first[0] != mine[0]:
                raise RuntimeError(
                    f"{mine[1]} cannot run while another thread is in {first[1]} of the same {type(self).__name__}: "
                    "wait for it"
                )
            return method(self, *args, **kwargs)
        finally:
            if _running.get(id(self)) is mine:
                del _running[id(self)]

    return alone
