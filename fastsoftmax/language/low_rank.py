"""The low-rank expert: a softmax over all words of the sum of embeddings of what stands before."""

import numpy as np

from fastsoftmax.linear import linear_cross_entropy

BLOCK = 1 << 15  # rows whose hidden vectors are made at a time


class LowRankExpert:
    """It gives each word the probability softmax(history E V^T + bias).

    Parameters
    ----------
    history : history.History, which says what the rows of E stand for
    E : (n_columns, size) float32
    V : (n_classes, size) float32
    bias : (n_classes,) float32
    """

    def __init__(self, history, E, V, bias):
        self.history, self.E, self.V, self.bias = history, E, V, bias

    def hidden(self, text, rows, positions=None):
        """The hidden vectors of these rows of a Text, (n_rows, size) float32.

        positions : what `history.positions` says of the text, which takes as long as the text; None: it is asked
        """
        positions = self.history.positions(text) if positions is None else positions
        return self.history.rows(text.ids, positions, rows) @ self.E

    def log_proba(self, text, n_threads, rows=None):
        """The log-probability of each token, or of those at `rows`, (n_rows,)."""
        rows = np.arange(len(text.ids)) if rows is None else rows
        out, positions = np.empty(len(rows)), self.history.positions(text)
        for first in range(0, len(rows), BLOCK):
            block = rows[first : first + BLOCK]
            hidden, target = self.hidden(text, block, positions), text.ids[block].astype(np.int64)
            losses = linear_cross_entropy(hidden, self.V, target, self.bias, reduction="none", n_threads=n_threads)
            out[first : first + BLOCK] = -losses
        return out

    def logits_after(self, ids, n_in_line):
        """The logits after the words `ids` of a document, of which the last `n_in_line` are of the same sentence."""
        before = len(ids) if self.history.across else n_in_line
        with np.errstate(invalid="ignore"):  # BLAS may compute with what lies beyond short rows, and drop it
            hidden = self.history.sum_after(ids[len(ids) - before :], self.E)
            return self.V @ hidden + self.bias
