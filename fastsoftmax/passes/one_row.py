"""One row by itself, around the kernels of src/tiles/one_row.pyx: the best numbers, and the best items of a mixture."""

import numpy as np

from fastsoftmax.kernels import one_row
from fastsoftmax.passes.eligible import EMPTY
from fastsoftmax.runtime import threads
from fastsoftmax.validation import check_lse

NONE_EXCLUDED = np.empty(0, np.int64)
PASSES = 8  # multiply-adds a class, or an item, that the passes over these take


def best(numbers, k):
    """The places of the k largest of `numbers`, (n,) float64, the largest first, of equal ones the first; k is at most n."""
    places = np.full(k, EMPTY)
    one_row.best(numbers, np.full(k, -np.inf), places)
    return places


class Mixing:
    """What a mixture of a softmax and of what others give to items needs for one row, to be used for one after another.

    Parameters
    ----------
    V, bias : the softmax, arrays of one real type, (n_classes, n_hidden) of contiguous rows, and (n_classes,)
    items : (n_classes,) int64, ascending, which item each class is
    n_items : int

    Attributes
    ----------
    given : (n_items,) float64 of zeros, to which `add` adds
    """

    def __init__(self, V, bias, items, n_items):
        self._V, self._bias, self._items = V, bias, items
        self.given = np.zeros(n_items)
        self._z, self._sums = np.empty(len(bias), bias.dtype), np.empty((2, one_row.n_blocks(len(bias))))

    def add(self, items, values, weight):
        """Give items, integers (n,), of which some may be the same, `weight` times these values, (n,)."""
        one_row.add(items, values, weight, self.given)

    def best(self, hidden, share, k, n_threads, excluded=NONE_EXCLUDED):
        """The k best items by what they are given and `share` times the softmax, and these sums; `given` is of zeros again.

        Of equal ones the first comes first. Places for which no item is left have the item EMPTY and -inf.

        excluded : items that may not be among them, int64, ascending
        """
        work = self._V.size + PASSES * (len(self._bias) + len(self.given))
        n_threads = min(threads.for_work(n_threads, work), self._sums.shape[1])
        values, items = np.full((n_threads, k), -np.inf), np.full((n_threads, k), EMPTY)
        lse = one_row.best_of_mixture(
            hidden, self._V, self._bias, self._items, share, self.given, excluded, self._z, self._sums, values, items
        )
        if lse != lse:  # NaN
            check_lse(np.array([lse]))
        return items[0], values[0]
