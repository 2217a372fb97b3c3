"""Some rows of an X that stays where it is, such as a memory-mapped file larger than memory."""

import numpy as np


class RowSubset:
    """The rows `ids` of `X`, a C-contiguous array or CSR matrix; a Runner takes it as it takes X.

    Parameters
    ----------
    X : as _validation.check_X returns it
    ids : (n_rows,) int64
    """

    def __init__(self, X, ids):
        self.X, self.ids = X, ids

    @property
    def shape(self):
        return len(self.ids), self.X.shape[1]

    @property
    def is_dense(self):
        return isinstance(self.X, np.ndarray)

    def __getitem__(self, rows):
        return RowSubset(self.X, self.ids[rows])

    def copy(self):
        """These rows in memory."""
        return self.X[self.ids]


def parts(X):
    """X without any subset, and the ids of its rows that are meant; None: all."""
    return (X.X, X.ids) if isinstance(X, RowSubset) else (X, None)


def take(X, rows):
    """Rows of X in memory, whether it is a subset or not."""
    X = X[rows]
    return X.copy() if isinstance(X, RowSubset) else X
