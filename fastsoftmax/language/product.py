"""The product of n-grams and low-rank softmax: a softmax of their logits, added up with factors that suit held-out text.

    logits = f_0 hidden V^T + f_1 bias_low_rank + f_2 x W + f_3 bias_n_grams

Where both say the same it says so with more confidence, which no mixture of them can. The negative log-likelihood is convex in
the factors. It is what `SoftmaxClassifier.calibrate` does for a sparse term beside a low-rank one.
"""

import numpy as np
from scipy.optimize import minimize

from fastsoftmax.functional import logsumexp

BLOCK, LOGITS = 512, 1 << 24  # rows, and logits, that are in memory at a time
START = (0.6, 0.5, 0.6, 0.5)
MOST_ROWS, MOST_LOGITS = 1000, 20_000_000  # that factors are found on
MAX_ITER = 20


class Product:
    """It gives each word the probability that the sum of both experts' logits makes of it.

    Parameters
    ----------
    counted : counted.Counted
    low_rank : low_rank.LowRankExpert
    factors : (4,) array
    """

    def __init__(self, counted, low_rank, factors=START):
        self.counted, self.low_rank, self.factors = counted, low_rank, np.asarray(factors, dtype=np.float64)

    def fit(self, text, rows):
        """Find the factors that make the words at these rows of a Text most probable."""
        n = max(1, min(len(rows), MOST_ROWS, MOST_LOGITS // len(self.low_rank.bias)))
        rows = rows[np.arange(n) * len(rows) // n]
        X = self.counted.features.transform(text.ids, text.lines)[rows]
        of_hidden, of_pairs = self.low_rank.hidden(text, rows) @ self.low_rank.V.T, (X @ self.counted.W.T).toarray()
        terms = of_hidden, self.low_rank.bias, of_pairs, self.counted.bias
        target = np.arange(n), text.ids[rows]
        of_target = np.stack([term[target] if term.ndim == 2 else term[target[1]] for term in terms], axis=1)

        def loss(factors):
            proba = self._logits(factors.astype(np.float32), *terms)
            lse = logsumexp(proba, axis=1)
            np.exp(proba - lse[:, None], out=proba)
            mean = [np.vdot(proba, term) / n if term.ndim == 2 else (proba @ term).mean() for term in terms]
            return float(np.mean(lse - of_target @ factors)), np.array(mean, dtype=np.float64) - of_target.mean(axis=0)

        found = minimize(
            loss, START, jac=True, method="L-BFGS-B", bounds=[(0, None)] * 4, options={"maxiter": MAX_ITER}
        )
        self.factors = found.x
        return self

    def log_proba(self, text, n_threads):
        """The log-probability of each token, (n_tokens,)."""
        out = np.empty(len(text.ids))
        factors = self.factors.astype(np.float32)
        V, bias = factors[0] * self.low_rank.V, factors[1] * self.low_rank.bias + factors[3] * self.counted.bias
        history, E = self.low_rank.history, self.low_rank.E
        positions = history.positions(text)
        n_rows = max(1, min(BLOCK, LOGITS // len(bias)))
        for rows, X in self.counted.features.blocks(text.ids, text.lines, n_rows):
            block = np.arange(rows.start, rows.stop)
            logits = (history.rows(text.ids, positions, block) @ E) @ V.T
            logits += bias
            pairs = X @ self.counted.W.T
            row_of_pair = np.repeat(np.arange(len(block)), np.diff(pairs.indptr))
            logits[row_of_pair, pairs.indices] += factors[2] * pairs.data
            of_target = logits[np.arange(len(block)), text.ids[rows]]
            out[rows] = of_target - logsumexp(logits, axis=1, n_threads=n_threads)
        return out

    def of_logits(self, of_low_rank, of_ngrams):
        """The logits of one row, (n_classes,), from those of both experts, their biases included."""
        low_rank, ngrams = self.low_rank.bias, self.counted.bias
        return self._logits(
            self.factors.astype(np.float32), of_low_rank - low_rank, low_rank, of_ngrams - ngrams, ngrams
        )

    @staticmethod
    def _logits(factors, of_hidden, low_rank_bias, of_pairs, ngrams_bias):
        logits = factors[0] * of_hidden
        logits += factors[2] * of_pairs
        logits += factors[1] * low_rank_bias + factors[3] * ngrams_bias
        return logits
