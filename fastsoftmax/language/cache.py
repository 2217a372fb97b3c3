"""Caches: the words of the document so far, the recent ones more, as distributions over all words.

A cache of order n looks at the places of the document whose n words before are those of the row, and counts what followed::

    p_n(w) = (c_n(w) + STRENGTH p_{n-1}(w)) / (c_n + STRENGTH),    p_{-1}: the unigrams of all of the training text

Here c_n(w) is the sum over the places of decay ** (how far back they are), and c_n the sum over all words: each p_n adds up to
1. The cache of order 0 is that of Kuhn and De Mori (1990), A cache-based natural language model for speech recognition,
doi:10.1109/34.56193; the higher ones are those of Jelinek, Merialdo, Roukos and Strauss (1991), A dynamic language model for
speech recognition, https://aclanthology.org/H91-1057.
"""

import numpy as np

N_ORDERS = 4  # caches of orders 0 to 3
DECAY, NEAR_DECAY = 0.999, 0.98  # of all caches; of one more of order 0
STRENGTH = 0.5
NEGLIGIBLE = 1e-9
NEAR_PLACES = 1100  # beyond them, NEAR_DECAY leaves less


def of_rows(text, unigrams, n_classes):
    """What the caches give to each token of a Text.

    Parameters
    ----------
    text : texts.Text
    unigrams : (n_classes,) array of probabilities

    Returns
    -------
    proba : (n_tokens, N_ORDERS + 1) float64, of orders 0, 1, ..., and of the near one of order 0
    level : (n_tokens,) int8, 1 + the highest order of which the document has a place; 0 at its beginning
    """
    ids, base = text.ids.astype(np.int64), unigrams[text.ids].astype(np.float64)
    contexts = np.repeat(np.arange(len(text.documents)), np.diff(text.documents, append=len(ids)))
    position = np.arange(len(ids)) - text.documents[contexts]
    proba, level = np.empty((len(ids), N_ORDERS + 1)), np.zeros(len(ids), dtype=np.int8)
    for order in range(N_ORDERS):
        if order:
            before = np.where(position >= order, np.roll(ids, order), n_classes)
            contexts = _numbered(contexts * (n_classes + 1) + before)
        pairs = _numbered(contexts * (n_classes + 1) + ids)
        if order == 0:
            proba[:, -1] = _smoothed(*(_decayed_counts(groups, NEAR_DECAY) for groups in (pairs, contexts)), base)
        counts, total = (_decayed_counts(groups, DECAY) for groups in (pairs, contexts))
        proba[:, order] = base = _smoothed(counts, total, base)
        level[(total > 0) & (position >= order)] = order + 1
    return proba, level


def places_of_context(ids):
    """Where the document `ids` has the last n words before, for each order n, as arrays of positions of what followed."""
    n = len(ids)
    places = [np.arange(n)]
    for order in range(1, N_ORDERS):
        longer = places[-1][places[-1] >= order]
        places.append(longer[ids[longer - order] == ids[n - order]] if n >= order else longer[:0])
    return places


def level_of(places):
    """The level of `of_rows`: how many orders have a place."""
    return sum(len(of_order) > 0 for of_order in places)


def add_context(out, weights, ids, places, unigrams):
    """Add the caches' distributions after the words `ids` of a document, times `weights`, to `out`, (n_classes,) float64.

    Each distribution is a share of the one below it and counts of few words: only the unigrams at the bottom are dense.

    weights : (N_ORDERS + 1,), as the columns of `of_rows`
    places : what `places_of_context` returns
    """
    n = len(ids)
    share = 0.0  # of the distribution of this order in all higher ones
    for order in reversed(range(N_ORDERS)):
        share = _add_counts(out, weights[order] + share, ids, places[order], DECAY ** (n - places[order]))
    near = places[0][-NEAR_PLACES:]
    share += _add_counts(out, weights[-1], ids, near, NEAR_DECAY ** (n - near))
    out += share * unigrams


def _add_counts(out, weight, ids, places, counts):
    """Add what was counted to `out`, and return the weight of the distribution below."""
    scale = weight / (counts.sum() + STRENGTH)
    np.add.at(out, ids[places], scale * counts)
    return scale * STRENGTH


def _smoothed(counts, total, base):
    return (counts + STRENGTH * base) / (total + STRENGTH)


def _numbered(keys):
    """The same groups, numbered from 0."""
    return np.unique(keys, return_inverse=True)[1]


def _decayed_counts(groups, decay):
    """For each position, the sum over earlier ones of its group of decay ** distance, (n,) float64.

    In a group in the order of the text, it is ``sum_k = factor_k (sum_{k-1} + 1)``: a linear recurrence, which is solved by
    doubling the number of places that are summed until the factors vanish.
    """
    by_group = np.argsort(groups, kind="stable")
    same = groups[by_group][1:] == groups[by_group][:-1]
    gaps = np.where(same, np.diff(by_group), 0).astype(np.float64)
    factor = np.append(0.0, np.where(same, decay**gaps, 0.0))[: len(groups)]
    total, reach = factor.copy(), 1
    while reach < len(groups) and factor.max() > NEGLIGIBLE:
        total[reach:] = total[reach:] + factor[reach:] * total[:-reach]
        factor[reach:] = factor[reach:] * factor[:-reach]
        factor[:reach] = 0.0
        reach *= 2
    out = np.empty(len(groups))
    out[by_group] = total
    return out
