"""The features whose rows of E a rank has, where E is divided among ranks, and whether it is."""

from typing import NamedTuple

from fastsoftmax.runtime.ranks import ranges

AUTO_BYTES = 1 << 30  # "auto" divides E where it takes more than this, with its optimiser's state


class Features(NamedTuple):
    """A range of the features that a low-rank term takes; other ranks have the rest, and none has an empty one."""

    begin: int
    end: int
    n_all: int

    @classmethod
    def of(cls, n_all, ranks):
        """The range of one of the `ranks`, runtime.ranks.Ranks."""
        starts = ranges(n_all, ranks.size)
        return cls(int(starts[ranks.rank]), int(starts[ranks.rank + 1]), n_all)

    @property
    def columns(self):
        return slice(self.begin, self.end)


def divides(choice, n_features, n_bytes, n_ranks):
    """Whether ranks divide the rows of E.

    choice : LowRank.divide
    n_features, n_bytes : the rows of the whole E, and what it takes with its optimiser's state
    """
    if n_ranks == 1 or n_features < n_ranks:
        return False
    return n_bytes > AUTO_BYTES if choice == "auto" else bool(choice)
