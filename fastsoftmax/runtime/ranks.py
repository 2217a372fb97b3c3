"""The ranks that train one model together, and what they exchange; alone, there is one rank and nothing to exchange.

All ranks call the same methods in the same order with arrays of the same shapes. What they get is the same on all of them, to
the bit. Losses are gathered and added up in the order of the ranks; `add` is MPI's own sum, which may be in another order with
another MPI or on another network.
"""

import builtins
import contextlib
import re

import numpy as np

_RANK = re.compile(r"^rank \d+: ")  # which begins the error of another rank


def without_rank(error):
    """The message of an error, the same on the rank that had it and on those that were told by `together`."""
    return _RANK.sub("", str(error))


class Ranks:
    """The ranks as one of them sees them. A subclass says how they exchange arrays and objects.

    Attributes
    ----------
    rank, size : the number of this rank, from 0 on, and of all
    bytes_sent : what this rank has handed over to be sent so far, arrays only
    seconds : the time that it spent in exchanges of arrays, waiting for others included
    """

    rank, size = 0, 1
    bytes_sent, seconds = 0, 0.0

    def gather(self, a):
        """The arrays `a` of all ranks, (size, *a.shape)."""
        return a[None]

    def add(self, a):
        """Replace `a`, C contiguous, by the sum over all ranks."""

    def objects(self, value):
        """A list of the values of all ranks, any Python objects."""
        return [value]

    def collect(self, a):
        """The rows of all ranks in the order of the ranks, which must not be written to: one copy of them a machine."""
        return a

    def common(self, make):
        """What `make()` returns, the same on all ranks, with arrays that must not be written to: one copy of them a machine.

        It is made once a machine; where it raises, it raises on all ranks.
        """
        return make()

    def first(self, value):
        """The value of rank 0."""
        return self.objects(value)[0]

    def told(self, value=None):
        """The value of rank 0, for which the others wait as long as it takes, and leave their cores to others."""
        return self.first(value)

    def end_all(self, status):
        """End all ranks at once, wherever they are, with this exit status."""
        raise SystemExit(status)

    @contextlib.contextmanager
    def together(self):
        """A context in which nothing is exchanged: where it raises on one rank, it raises on all of them.

        The others raise the nearest exception of Python itself: not all errors can be sent, or made from a message.
        """
        error = None
        try:
            yield
        except Exception as raised:
            error = raised
        of_ranks = self.objects(None if error is None else (_nearest_builtin(type(error)), str(error)))
        if error is not None:
            raise error
        for rank, failed in enumerate(of_ranks):
            if failed is not None:
                name, message = failed
                raise getattr(builtins, name)(f"rank {rank}: {message}")

    def agree(self, **values):
        """Raise ValueError on all ranks unless the values, small ones, are the same on all."""
        if self.size == 1:
            return
        of_ranks = self.objects({name: repr(value) for name, value in values.items()})
        for rank, others in enumerate(of_ranks):
            for name, value in of_ranks[0].items():
                if others.get(name) != value:
                    other = others.get(name)
                    raise ValueError(
                        f"{name} is {value} on rank 0 and {other} on rank {rank}: it must be the same on all"
                    )

    @contextlib.contextmanager
    def all_or_none(self):
        """A context for what ranks do together: where one fails alone, all end, since the others would wait for it."""
        yield


def _nearest_builtin(kind):
    """The name of the exception of Python itself that this class of exceptions is, or is made from, and a message makes."""
    for base in kind.__mro__:
        if base.__module__ != "builtins":
            continue
        try:
            base("")
        except TypeError:  # as UnicodeDecodeError, which needs five arguments
            continue
        return base.__name__
    raise AssertionError(f"{kind} is no exception")


ONE = Ranks()


def ranges(n, size):
    """(size + 1,) where the ranges begin that `n` classes are divided into, as evenly as can be."""
    return np.arange(size + 1) * n // size
