"""The mixture that a NextItemModel is: a network, experts that count, and their weights."""

import copy

import numpy as np

from fastsoftmax.mixing.weights import fit_weights
from fastsoftmax.sequences.experts import EXPERTS

N_BUCKETS = 5  # of histories, by how often their last item occurs
ROWS = 512  # at a time, which bounds the memory
DEFAULT_WEIGHTS = {"neighbours": 0.25, "preceders": 0.05, "repeats": 0.02}  # where too few sequences can be held out


class Mixture:
    """The probability of an item is the weighted mean of what the network and the experts give it.

    The weights depend on the bucket of a history. An expert that knows nothing of a history gives what the network gives, so
    that the probabilities of all items add up to 1.

    Parameters
    ----------
    network : next_item_network.Network
    experts : dict of str to expert
    weights : (N_BUCKETS, n_experts) float64 of the experts; the network has the rest
    counts : (n_items,) int64 how often each item occurs
    """

    def __init__(self, network, experts, weights, counts):
        self.network, self.experts, self.weights, self.counts = network, experts, weights, counts
        self.n_items = len(counts)

    def use_threads(self, n_threads):
        """Use so many threads from now on, which changes no result; a checked number."""
        for part in (self.network.classifier, *self.experts.values()):
            part.n_threads = n_threads

    def with_threads(self, n_threads):
        """This mixture with so many threads, whatever others that share its arrays use; a checked number."""
        network = copy.copy(self.network)
        network.classifier = network.classifier._as_of_now()
        experts = {name: copy.copy(expert) for name, expert in self.experts.items()}
        other = Mixture(network, experts, self.weights, self.counts)
        other.use_threads(n_threads)
        return other

    def topk(self, histories, k, excluded=None):
        """The k best items of each row, (n_rows, k) int64, -1 as padding, and their log-probabilities, float64.

        Of equally probable ones the first comes first.

        excluded : (indptr, items), the items that each row may not get, ascending, or None
        """
        codes, log_proba = np.full((histories.n_rows, k), -1), np.full((histories.n_rows, k), -np.inf)
        for rows in _blocks(histories):
            of_rows = None if excluded is None else _rows_of_lists(*excluded, rows)
            codes[rows], log_proba[rows] = self._topk(histories.rows(rows), k, of_rows)
        return codes, log_proba

    def _topk(self, histories, k, excluded):
        n_rows = histories.n_rows
        items, log_proba, logits = self.network.topk(histories, k, excluded)
        key, proba, share = self._counted(histories)
        row, item = np.divmod(key, self.n_items)
        proba += share[row] * logits.proba(row, item)
        # an item that no expert gives anything is among the k best only if it is among the k best of the network
        rows_of_items = np.repeat(np.arange(n_rows), items.shape[1])
        own = rows_of_items * self.n_items + items.ravel()
        is_new = (items.ravel() >= 0) & ~_among(own, key)
        key = np.concatenate([key, own[is_new]])
        proba = np.concatenate([proba, (share[:, None] * np.exp(log_proba)).ravel()[is_new]])
        if excluded is not None:
            indptr, barred = excluded
            is_left = ~_among(key, np.repeat(np.arange(n_rows), np.diff(indptr)) * self.n_items + barred)
            key, proba = key[is_left], proba[is_left]
        return _best(key, proba, n_rows, self.n_items, k)

    def proba_of(self, histories, items):
        """The probability of one item a row, (n_rows,) float64; -1 is an item that is not known, with probability 0."""
        out = np.empty(histories.n_rows)
        for rows in _blocks(histories):
            block, own = histories.rows(rows), items[rows]
            key, proba, share = self._counted(block)
            row, item = np.divmod(key, self.n_items)
            is_own = item == own[row]
            given = np.bincount(row[is_own], proba[is_own], block.n_rows)
            out[rows] = given + share * self.network.proba_of(block, np.maximum(own, 0))
        return np.where(items < 0, 0.0, out)

    def _counted(self, histories):
        """What the experts add to items of rows, and the share of the network.

        Returns
        -------
        key : (n,) int64, row * n_items + item, ascending, each once
        proba : (n,) float64
        share : (n_rows,) float64
        """
        weights = self.weights[buckets(self.counts, histories)]
        keys, values, share = [], [], np.ones(histories.n_rows)
        for expert, weight in zip(self.experts.values(), weights.T, strict=True):
            votes = expert.votes(histories)
            share -= np.where(has_votes(votes, histories), weight, 0.0)
            counts = weight[votes.row] > 0  # those of the others would change rounding, and so the order of equal items
            row, item, value = (a[counts] for a in votes)
            keys.append(row * self.n_items + item)
            values.append(weight[row] * value)
        if not keys:
            return np.empty(0, np.int64), np.empty(0), share
        key, place = np.unique(np.concatenate(keys), return_inverse=True)
        return key, np.bincount(place, np.concatenate(values), len(key)).astype(np.float64), share


def buckets(counts, histories):
    """The bucket of each row: 0 for an empty history, or a last item that is rare."""
    last = histories.back(1)
    return bucket_of(np.where(last >= 0, counts[np.maximum(last, 0)], 0))


def bucket_of(counts):
    """The bucket of histories whose last items occur so often, int64."""
    return np.minimum(np.log2(counts + 1).astype(np.int64) // 2, N_BUCKETS - 1)


def fitted_weights(network_proba, experts, histories, items, counts):
    """The weights of the experts, (N_BUCKETS, n_experts), by held-out rows; and the mean log-likelihood of these.

    network_proba : (n_rows,) what the network gives to the rows' own items
    experts : dict of str to expert
    """
    columns = [np.maximum(network_proba, 1e-12)]  # an item that the network knows nothing of
    for expert in experts.values():
        given = np.concatenate([_given(expert, histories.rows(rows), items[rows]) for rows in _blocks(histories)])
        columns.append(np.where(np.isnan(given), columns[0], given))
    proba, bucket = np.stack(columns, axis=1), buckets(counts, histories)
    weights = fit_weights(proba, bucket, N_BUCKETS)
    return weights[:, 1:], float(np.mean(np.log((proba * weights[bucket]).sum(axis=1))))


def _given(expert, histories, items):
    """What an expert gives to one item a row, (n_rows,); nan where it knows nothing of the history."""
    votes = expert.votes(histories)
    is_own = votes.item == items[votes.row]
    given = np.bincount(votes.row[is_own], votes.value[is_own], histories.n_rows)
    return np.where(has_votes(votes, histories), given, np.nan)


def _blocks(histories):
    return [slice(start, start + ROWS) for start in range(0, max(histories.n_rows, 1), ROWS)]


def default_weights(experts):
    """Weights for models without held-out rows, (N_BUCKETS, n_experts)."""
    return np.tile([DEFAULT_WEIGHTS[name] for name in experts], (N_BUCKETS, 1))


def made_experts(names, sequences, n_items, n_threads):
    return {name: EXPERTS[name](sequences, n_items, n_threads) for name in names}


def has_votes(votes, histories):
    """Which rows have votes, (n_rows,) bool."""
    has = np.zeros(histories.n_rows, bool)
    has[votes.row] = True
    return has


def _rows_of_lists(indptr, items, rows):
    indptr = indptr[rows.start : rows.stop + 1]
    return indptr - indptr[0], items[indptr[0] : indptr[-1]]


def _among(values, ascending):
    """Which values are in an array that ascends."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    return ascending[np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)] == values


def _best(key, proba, n_rows, n_items, k):
    """The k largest of the elements of each row, of equal ones the lower items, and their logarithms.

    key : row * n_items + item, each once
    """
    by_key = np.argsort(key)
    row, item = np.divmod(key[by_key], n_items)
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(n_rows))[row]
    width = max(k, int(place.max(initial=-1)) + 1)
    of_rows, items = np.zeros((n_rows, width)), np.full((n_rows, width), -1)
    of_rows[row, place], items[row, place] = proba[by_key], item  # in each row, items ascend
    if width > k:
        least = np.partition(of_rows, width - k, axis=1)[:, width - k, None]
        is_above, is_least = of_rows > least, of_rows == least
        n_left = k - np.count_nonzero(is_above, axis=1, keepdims=True)
        best = is_above | (is_least & (np.cumsum(is_least, axis=1) <= n_left))
        of_rows, items = of_rows[best].reshape(n_rows, k), items[best].reshape(n_rows, k)
    order = np.argsort(-of_rows, axis=1, kind="stable")
    of_rows, items = np.take_along_axis(of_rows, order, 1), np.take_along_axis(items, order, 1)
    with np.errstate(divide="ignore"):
        return np.where(of_rows > 0, items, -1), np.log(of_rows)
