"""The mixture of all experts: which weights a row gets, and what it makes of the experts' probabilities."""

import numpy as np

from fastsoftmax.functional import softmax
from fastsoftmax.language import cache
from fastsoftmax.language.product import Product
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
    product : product.Product of it and a low-rank expert, or None: there is neither
    has_cache : bool
    n_threads : int
    weights : (n_buckets, n_experts), or None until `fit_weights`
    """

    def __init__(self, counted, product, has_cache, n_threads, weights=None):
        self.counted, self.product, self.has_cache, self.n_threads = counted, product, has_cache, n_threads
        self.weights = weights

    @property
    def low_rank(self):
        """The low-rank expert, or None."""
        return self.product and self.product.low_rank

    @property
    def names(self):
        """Names of the experts, in the order of the columns of `weights`."""
        low_rank = ["low rank", "both"] if self.product else []
        caches = [*(f"cache {order}" for order in range(cache.N_ORDERS)), "near cache"] if self.has_cache else []
        return ["n-grams", *low_rank, *caches]

    def count_anew(self, counted):
        """Take other n-grams, of the same words, in the place of those so far."""
        self.counted = counted
        if self.product:
            self.product = Product(counted, self.low_rank, self.product.factors)

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
        if self.product:
            columns.extend(np.exp(expert.log_proba(text, self.n_threads)) for expert in (self.low_rank, self.product))
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
        of_ngrams, n_known = self.counted.logits_after(ids[len(ids) - n_in_line :])
        places = cache.places_of_context(ids) if self.has_cache else []
        weights = self.weights[_bucket(cache.level_of(places), n_known)]
        logits = [of_ngrams]
        if self.product:
            of_low_rank = self.low_rank.logits_after(ids, n_in_line)
            logits += [of_low_rank, self.product.of_logits(of_low_rank, of_ngrams)]
        proba = np.zeros(len(of_ngrams))
        for weight, of_expert in zip(weights, logits, strict=False):
            proba += np.float32(weight) * softmax(of_expert)
        if self.has_cache:
            cache.add_context(proba, weights[len(logits) :], ids, places, self.counted.unigrams)
        return proba / proba.sum()  # which is 1 but for rounding


def _bucket(level, n_known):
    return level * (MOST_KNOWN + 1) + np.minimum(n_known, MOST_KNOWN).astype(np.intp)
