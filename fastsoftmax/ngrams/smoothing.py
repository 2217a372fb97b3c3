"""Interpolated modified Kneser-Ney estimates of n-grams, from their counts."""

import numpy as np

from fastsoftmax.ngrams.sentences import BEGIN
from fastsoftmax.ngrams.tables import Table, sorted_table
from fastsoftmax.text.kneser_ney import chen_goodman
from fastsoftmax.validation import check_has_discounts


def discounts_of(orders, fallback):
    """The discounts of n-grams counted once, twice, and more often, (order, 3), from all Counts, before any pruning.

    fallback : what they are where an order has too few n-grams to estimate them; None: that is an error
    """
    discounts = [chen_goodman(order.counts) for order in orders]
    for length, found in enumerate(discounts, start=1):
        check_has_discounts(length, found, fallback)
    return np.array([fallback if found is None else found for found in discounts])


def estimate_tables(orders, discounts, prune):
    """The Tables of a model, from its Counts.

    Parameters
    ----------
    orders : list of Counts
    discounts : ndarray, shape (order, 3)
    prune : sequence of int, length order
        N-grams that occur so often, or less, are left out, and their whole count goes to the back-off of their context.
    """
    n_words = len(orders[0].words)
    proba = _unigrams(orders[0].counts, discounts[0])
    place = np.arange(n_words)  # of the n-grams one length below: where they are in their table
    tables = [Table(None, np.log10(proba, where=proba > 0, out=np.full(n_words, -np.inf)), np.zeros(n_words))]
    for order, discount, threshold in zip(orders[1:], discounts[1:], prune[1:], strict=True):
        taken = np.append(0.0, discount)[np.minimum(order.counts, 3)]
        kept = slice(None)
        if threshold:
            kept = order.occurrences > threshold
            taken = np.where(kept, taken, order.counts)
        total = np.bincount(order.context, order.counts, minlength=len(proba))
        has_next = total > 0
        left_over = np.divide(
            np.bincount(order.context, taken, minlength=len(proba)), total, out=np.ones(len(proba)), where=has_next
        )
        below_kept = place >= 0
        tables[-1].log10_backoff[place[below_kept]] = np.log10(left_over[below_kept])
        proba = (order.counts - taken) / total[order.context] + left_over[order.context] * proba[order.shorter]
        table, place_of_kept = sorted_table(place[order.context[kept]], order.words[kept], n_words, proba[kept])
        tables.append(table)
        place = np.full(len(proba), -1)
        place[kept] = place_of_kept
    return tables


def _unigrams(counts, discount):
    """The probabilities of unigrams, interpolated with the uniform distribution over all words but BEGIN."""
    taken = np.append(0.0, discount)[np.minimum(counts, 3)]
    proba = (counts - taken + taken.sum() / (len(counts) - 1)) / counts.sum()
    proba[BEGIN] = 0.0
    return proba
