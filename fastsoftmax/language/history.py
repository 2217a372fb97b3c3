"""What the low-rank expert sees of a row: the last words by place, and a decayed bag of the words before it."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.text.contexts import positions_in_file


class History(NamedTuple):
    """Columns: for each place, then for the bag, one for each class.

    The bag, of unit length, has the last `window` words, each with `decay` ** (how far back it is); 0: there is none. `across`
    says whether the words of earlier sentences of a document count.
    """

    n_classes: int
    n_places: int = 8
    window: int = 0
    decay: float = 0.95
    across: bool = False

    @property
    def n_columns(self):
        return (self.n_places + (self.window > 0)) * self.n_classes

    def positions(self, text):
        """How many words before each token count, (n_tokens,) int32."""
        return positions_in_file(len(text.ids), text.documents if self.across else text.lines)

    def rows(self, ids, positions, rows):
        """The rows at some tokens as CSR.

        Parameters
        ----------
        ids : (n_tokens,) array of codes
        positions : what `positions` returns
        rows : (n_rows,) array of places in ids
        """
        reach = max(self.n_places, self.window)
        back = np.arange(1, reach + 1, dtype=np.int32)
        tokens = ids[np.maximum(rows[:, None] - back, 0)].astype(np.int64)
        is_there = back <= positions[rows][:, None]
        columns, values, kept = [], [], []
        if self.n_places:
            columns.append(tokens[:, : self.n_places] + np.arange(self.n_places) * self.n_classes)
            values.append(np.ones((len(rows), self.n_places), dtype=np.float32))
            kept.append(is_there[:, : self.n_places])
        if self.window:
            columns.append(tokens[:, : self.window] + self.n_places * self.n_classes)
            kept.append(is_there[:, : self.window])
            weights = np.where(kept[-1], self._bag_weights(self.window), 0.0)
            norms = np.sqrt(np.square(weights).sum(axis=1, keepdims=True))
            values.append((weights / np.maximum(norms, 1e-12)).astype(np.float32))
        columns, values, kept = (np.concatenate(parts, axis=1) for parts in (columns, values, kept))
        indptr = np.append(0, np.cumsum(np.count_nonzero(kept, axis=1)))
        X = sparse.csr_matrix((values[kept], columns[kept], indptr), shape=(len(rows), self.n_columns))
        X.sum_duplicates()
        return X

    def sum_after(self, ids, E):
        """The row after the words `ids`, which all count, times E: (size,) float32."""
        back = ids[::-1].astype(np.int64)
        places, bag = back[: self.n_places], back[: self.window]
        total = E[places + np.arange(len(places)) * self.n_classes].sum(axis=0)
        if len(bag):
            weights = self._bag_weights(len(bag))
            norm = np.sqrt(np.square(weights).sum())
            total += (weights / norm).astype(np.float32) @ E[bag + self.n_places * self.n_classes]
        return total

    def _bag_weights(self, n):
        return self.decay ** np.arange(n, dtype=np.float64)
