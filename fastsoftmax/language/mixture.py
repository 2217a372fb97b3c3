"""The mixture of all experts: which weights a row gets, and what it makes of the experts' probabilities."""

import numpy as np

from fastsoftmax.language import cache
from fastsoftmax.mixing.weights import fit_weights, mixed

MOST_KNOWN = 8  # rows whose n-gram model knows more words of the context share buckets
SMALLEST = 1e-300


class Mixture:
    """``p(w | h) = sum over m of weights[bucket(h), m] p_m(w | h)``: each p_m adds up to 1 over all words, and so does p.

    The bucket of a row is told by how many words before it the caches have seen together in its document, and by how many the
    n-gram model knows together from training.

    Parameters
    ----------
    counted : counted.Counted
    low_rank : list of low_rank.LowRankExpert
    has_cache : bool
    n_threads : int
    weights : (n_buckets, n_experts), or None until `fit_weights`
    """

    def __init__(self, counted, low_rank, has_cache, n_threads, weights=None):
        self.counted, self.low_rank, self.has_cache, self.n_threads = counted, low_rank, has_cache, n_threads
        self.weights = weights

    @property
    def names(self):
        """Names of the experts, in the order of the columns of `weights`."""
        caches = [*(f"cache {order}" for order in range(cache.N_ORDERS)), "near cache"] if self.has_cache else []
        return ["n-grams", *(f"low rank {number}" for number in range(1, len(self.low_rank) + 1)), *caches]

    @property
    def n_buckets(self):
        return (cache.N_ORDERS + 1) * (MOST_KNOWN + 1)

    def fit_weights(self, text, counts):
        """Find the weights that suit a text best which the experts have not seen; return what `experts` does.

        counts : (n_tokens,) of bool, the tokens that count, and that are returned
        """
        proba, buckets = (a[counts] for a in self.experts(text))
        self.weights = fit_weights(proba, buckets, self.n_buckets)
        return proba, buckets

    def experts(self, text):
        """What each expert gives to each token of a Text, (n_tokens, n_experts) float64, and the bucket of each."""
        log_proba, n_known = self.counted.log_proba(text, self.n_threads)
        columns = [np.exp(log_proba)]
        columns.extend(np.exp(expert.log_proba(text, self.n_threads)) for expert in self.low_rank)
        level = 0
        if self.has_cache:
            of_caches, level = cache.of_rows(text, self.counted.unigrams, len(self.counted.bias))
            columns.append(of_caches)
        return np.column_stack(columns), _bucket(level, n_known)

    def log_proba(self, text):
        """The log-probability of each token, (n_tokens,) float64."""
        proba, buckets = self.experts(text)
        return np.log(np.maximum(mixed(proba, self.weights, buckets), SMALLEST))

    def of_context(self, ids, n_in_line):
        """The distribution after the words `ids` of a document, (n_classes,) float64.

        n_in_line : how many of the last of them are of the sentence that goes on
        """
        of_ngrams, n_known = self.counted.of_context(ids[len(ids) - n_in_line :])
        places = cache.places_of_context(ids) if self.has_cache else []
        weights = self.weights[_bucket(cache.level_of(places), n_known)]
        proba = weights[0] * of_ngrams.astype(np.float64)
        for weight, expert in zip(weights[1:], self.low_rank, strict=False):
            proba += np.float32(weight) * expert.of_context(ids, n_in_line)
        if self.has_cache:
            cache.add_context(proba, weights[1 + len(self.low_rank) :], ids, places, self.counted.unigrams)
        return proba / proba.sum()  # which is 1 but for rounding


def _bucket(level, n_known):
    return level * (MOST_KNOWN + 1) + np.minimum(n_known, MOST_KNOWN).astype(np.intp)
