"""Work on large arrays in blocks of rows that fit a cache, on several threads, with sums in a fixed order."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK = 1 << 16  # elements
RANGES = 16  # of blocks, which the threads share: sums depend on their number, so it is fixed


class Blocks:
    """Calls functions of a slice of rows for all `n_rows` rows of arrays with `row_size` elements a row.

    The threads are Python's, since NumPy lets others run while it computes. Results do not depend on `n_threads`.
    """

    def __init__(self, n_rows, row_size, n_threads):
        step = max(1, BLOCK // max(1, row_size))
        self.slices = [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
        self.n_threads = n_threads

    def sum(self, function):
        """The sum of what `function` returns for the blocks."""
        ranges = [self.slices[i::RANGES] for i in range(min(RANGES, len(self.slices)))]

        def run(slices):
            return sum(function(rows) for rows in slices)

        return sum(each(run, ranges, self.n_threads))

    def run(self, function):
        """Call `function` for each block and ignore what it returns."""

        def zero(rows):
            function(rows)
            return 0

        self.sum(zero)


def each(function, items, n_threads, cancelled=None):
    """The results of `function` for the items, in their order, computed by `n_threads` Python threads.

    cancelled : threading.Event that is set where no more results are wanted, for `function` to end early
    """
    if n_threads == 1 or len(items) == 1:
        yield from map(function, items)
        return
    waiting = deque()  # at most n_threads + 1 results are in memory
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for item in items:
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        except BaseException:  # Ctrl-C too: the pool waits for what runs
            if cancelled is not None:
                cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def dot(a, b):
    """The sum of the products of the elements of two matrices, in float64 across rows."""
    return float(np.einsum("jk,jk->j", a, b).sum(dtype=np.float64))
