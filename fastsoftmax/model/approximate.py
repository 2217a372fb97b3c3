"""The best classes by an approximate index of the output weights: HNSW, of the package usearch.

A logit is the inner product of a_k = (v_k, b_k) and (h, 1). Neighbours in a graph are near each other, and large inner
products need not be. With one more column, sqrt(max |a|^2 - |a_k|^2), which meets a zero, all vectors have the same norm, and
the largest inner products are the nearest vectors:

    Bachrach et al. 2014, Speeding up the Xbox recommender system using a Euclidean transformation for inner-product spaces,
    https://doi.org/10.1145/2645710.2645741

A vector that all a_k lose changes each logit of a row by the same number. So they lose their mean, to differ less in norm.
"""

import threading

import numpy as np

from fastsoftmax.passes.eligible import EMPTY
from fastsoftmax.validation import check_usearch

# Of usearch's graph; docs/prediction_measured.md has what they give.
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 512
MOST_BEST = 1024  # classes that are looked for; where more are, all are computed
LEAST_CANDIDATES, CANDIDATES_PER_BEST = 256, 4
SAMPLED = 4096  # classes that stand for all others in the log-sum-exp
MOST_BY_ONE_THREAD = 100_000  # classes that one thread adds, in some ten seconds, so that the graph is always the same
STEP = 1 << 13  # classes that are added at a time: a second, after which Python sees signals
ROWS = 64  # at a time: some megabytes of their candidates' weights


class ApproximateIndex:
    """Output weights in a graph of near classes, and a sample of classes for the log-sum-exp. Several threads may use it.

    Where more than one thread builds it, the graph depends on which of them comes first, and so does what it finds.
    """

    def __init__(self, index, V, bias):
        self._index, self._V, self._bias = index, V, bias
        self._lock = threading.Lock()  # usearch promises nothing to several Python threads
        n_classes = len(bias)
        rng = np.random.default_rng(0)  # the same classes each time
        self._sample = np.sort(rng.choice(n_classes, min(n_classes, SAMPLED), replace=False))
        self._V_sample, self._bias_sample = V[self._sample], bias[self._sample]

    @classmethod
    def of(cls, V, bias, n_threads):
        """The ApproximateIndex of weights (n_classes, n_hidden) and bias; None where they are not finite, or far too large."""
        Index = check_usearch()
        squares, mean = np.empty(len(V)), V.mean(axis=0, dtype=np.float64)
        bias_mean = bias.mean(dtype=np.float64)
        blocks = [slice(start, start + STEP) for start in range(0, len(V), STEP)]

        def centred(block):
            return np.column_stack([V[block] - mean, bias[block] - bias_mean])

        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks:
                a = centred(block)
                squares[block] = np.einsum("ij,ij->i", a, a)
        most = squares.max()
        if not np.isfinite(most):
            return None
        most = most or 1.0
        index = Index(
            ndim=V.shape[1] + 2, metric="ip", dtype="f16", connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )  # fmt: skip
        if len(V) <= MOST_BY_ONE_THREAD:
            n_threads = 1
        for block in blocks:
            a = np.column_stack([centred(block), np.sqrt(most - squares[block])]) / np.sqrt(most)
            ids = np.arange(block.start, block.start + len(a), dtype=np.uint64)
            index.add(ids, a.astype(np.float32), threads=n_threads)
        return cls(index, V, bias)

    def candidates(self, hidden, n, n_threads):
        """About `n` good class ids of each row, (n_rows, n) int64, ascending, with EMPTY in places that are left."""
        n_rows = len(hidden)
        queries = np.column_stack([hidden, np.ones(n_rows), np.zeros(n_rows)])
        queries /= np.sqrt(np.einsum("ij,ij->i", queries, queries))[:, None]
        queries = np.nan_to_num(queries.astype(np.float32))  # rows that overflowed are left to the full pass
        with self._lock:
            found = self._index.search(queries, n, threads=min(n_threads, n_rows))
        class_ids = np.full((n_rows, n), EMPTY)
        if n_rows == 1:  # usearch then leaves out the dimension
            class_ids[0, : len(found.keys)] = found.keys
        else:
            filled = np.arange(n) < np.asarray(found.counts)[:, None]
            class_ids[filled] = found.keys[filled]
        return np.sort(class_ids, axis=1)

    def helps(self, k, eligible):
        """Whether fewer than all classes are candidates for the best k, and the options leave the choice to the index."""
        if eligible.class_ids is not None or eligible.threshold is not None:
            return False
        return k + eligible.most_excluded <= MOST_BEST and n_candidates(k, eligible) < len(self._bias)

    @np.errstate(over="ignore", invalid="ignore")  # the full pass says what is wrong
    def best(self, hidden, k, n_threads, eligible, *, normalise=True):
        """The k best class ids of rows, their log-probabilities (or logits), and whether all is well, (n_rows,).

        It is not where fewer than k classes were found, or where numbers overflowed.

        hidden : (n_rows, n_hidden)
        """
        n_classes = len(self._bias)
        class_ids = self.candidates(hidden, n_candidates(k, eligible), n_threads)
        ids = np.where(class_ids == EMPTY, 0, class_ids)
        logits = np.einsum("ijh,ih->ij", self._V[ids], hidden) + self._bias[ids]
        logits[class_ids == EMPTY] = -np.inf
        lse = self.log_sum_exps(hidden, class_ids, logits) if normalise else None
        if eligible.indptr is not None:
            first = np.arange(len(hidden)) * n_classes
            excluded = np.repeat(first, np.diff(eligible.indptr)) + eligible.excluded[slice(*eligible.indptr[[0, -1]])]
            logits[np.isin(ids + first[:, None], excluded)] = -np.inf
        order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
        class_ids, values = (np.take_along_axis(a, order, axis=1) for a in (class_ids, logits))
        if normalise:
            values = (values - lse[:, None]).astype(logits.dtype)
        return class_ids, values, np.isfinite(values).all(axis=1)

    def log_sum_exps(self, hidden, class_ids, logits):
        """The estimated log-sum-exps over all classes, (n_rows,) float64: candidates, and the sample for all others.

        class_ids, logits : (n_rows, n) candidates, ascending in each row, with EMPTY and -inf in places that are left
        """
        others = np.einsum("ih,jh->ij", hidden, self._V_sample) + self._bias_sample
        at = np.minimum(np.searchsorted(self._sample, class_ids), len(self._sample) - 1)
        row, place = np.nonzero(self._sample[at] == class_ids)
        others[row, at[row, place]] = -np.inf
        n_others = len(self._bias) - np.count_nonzero(class_ids != EMPTY, axis=1)
        n_sampled = len(self._sample) - np.bincount(row, minlength=len(hidden))
        top = np.maximum(logits.max(axis=1), others.max(axis=1))[:, None]
        mass, of_others = (np.exp(a - top).sum(axis=1, dtype=np.float64) for a in (logits, others))
        return top[:, 0] + np.log(mass + of_others * n_others / np.maximum(n_sampled, 1))


def n_candidates(k, eligible):
    """The number of classes to find and to compute in full, for the best k."""
    return max(LEAST_CANDIDATES, CANDIDATES_PER_BEST * k) + eligible.most_excluded
