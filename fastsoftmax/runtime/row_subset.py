"""Some of the rows of an X that stays where it is, such as a memory-mapped file larger than memory."""

import numpy as np


class RowSubset:
    """The rows `ids` of `X`, a C-contiguous array or CSR rows; a Runner accepts it wherever it accepts X.

    Parameters
    ----------
    X : as validation.check_X returns it
    ids : ndarray of int64, shape (n_rows,)
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
        """These rows as an array or CSR rows in memory."""
        return self.X[self.ids]


def unwrapped(X):
    """The X that rows are taken from, and the ids of the rows; None stands for all of them."""
    return (X.X, X.ids) if isinstance(X, RowSubset) else (X, None)


def take(X, rows):
    """Rows of X in memory, whether X is a subset or not."""
    X = X[rows]
    return X.copy() if isinstance(X, RowSubset) else X
