"""CSR rows as their arrays, as the kernels take them: to make a matrix of SciPy's takes as long as to answer a row."""

from typing import NamedTuple

import numpy as np


class CsrRows(NamedTuple):
    """Checked CSR rows. Row i has the entries indptr[i] to indptr[i + 1] of `indices`, its columns, and `data`."""

    indptr: np.ndarray  # (n_rows + 1,)
    indices: np.ndarray  # int32 or int64, as indptr
    data: np.ndarray
    n_columns: int

    @classmethod
    def of(cls, X):
        return cls(X.indptr, X.indices, X.data, X.shape[1])

    @property
    def n_rows(self):
        return len(self.indptr) - 1

    @property
    def shape(self):
        return self.n_rows, self.n_columns

    def of_rows(self, start, stop):
        """Rows `start` to `stop`; they share indices and data."""
        return self._replace(indptr=self.indptr[start : stop + 1])

    def within(self, n_columns):
        """The entries in the first columns alone."""
        if n_columns >= self.n_columns:
            return self
        keep = self.indices < n_columns
        before = np.concatenate([[0], np.cumsum(keep)])[self.indptr]
        return CsrRows(before.astype(self.indptr.dtype), self.indices[keep], self.data[keep], n_columns)

    def matrix(self):
        """These rows as a csr_array, which shares the arrays."""
        from scipy.sparse import csr_array

        return csr_array((self.data, self.indices, self.indptr), shape=(self.n_rows, self.n_columns))
