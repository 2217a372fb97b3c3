"""The n-grams of a back-off model, a table a length, and the probabilities of words by them.

An n-gram is found by the place of its context, the n-gram without its last word, and that word: where a context is not in
its table, no longer n-gram that begins with it is.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.text.keys import find, in_ascending_order


class Table(NamedTuple):
    """The n-grams of one length, sorted by context and then by last word."""

    keys: (
        np.ndarray
    )  # context * n_words + last word, int64; None for unigrams, whose places are the codes of their words
    log10_proba: np.ndarray
    log10_backoff: np.ndarray  # of the n-gram as a context; 0 for one after which no word was seen


def sorted_table(context, words, n_words, proba):
    """A Table of n-grams in any order without back-offs, and the place of each n-gram in it."""
    keys, rows = sorted_keys(context, words, n_words)
    place = np.empty(len(rows), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return Table(keys, np.log10(proba[rows]), np.zeros(len(rows))), place


def sorted_keys(context, words, n_words):
    """The keys of n-grams, sorted, and which n-gram each is of."""
    return in_ascending_order(context.astype(np.int64) * n_words + words)


def places(tables, ids, is_first):
    """Where the n-grams that end at each position are: an array of places for each length, -1 where there is none.

    Parameters
    ----------
    tables : list of Table
    ids : ndarray of int, shape (n,)
    is_first : ndarray of bool, shape (n,)
        Whether a position has no word before it.
    """
    n_words = len(tables[0].log10_proba)
    found = [ids.astype(np.int64)]
    for table in tables[1:]:
        context = _before(found[-1], is_first)
        rows = np.flatnonzero(context >= 0)
        place, is_there = find(table.keys, context[rows] * n_words + ids[rows])
        found.append(np.full(len(ids), -1, dtype=np.int64))
        found[-1][rows[is_there]] = place[is_there]
    return found


def log10_proba(tables, ids, is_first):
    """The log10 of the probability of each word after those before it; parameters as in `places`."""
    found = places(tables, ids, is_first)
    result = tables[0].log10_proba[ids]
    for length, table in enumerate(tables[1:], start=1):
        context = _before(found[length - 1], is_first)
        known = np.flatnonzero(context >= 0)
        result[known] += tables[length - 1].log10_backoff[context[known]]
        known = np.flatnonzero(found[length] >= 0)
        result[known] = table.log10_proba[found[length][known]]
    return result


def _before(place, is_first):
    """The places one position before, -1 where a position is the first."""
    context = np.empty_like(place)
    context[1:] = place[:-1]
    context[is_first] = -1
    return context


def words_of_ngrams(tables):
    """For each length, the codes of the words of its n-grams, (n_ngrams, length) int32, from the shortest on."""
    n_words = len(tables[0].log10_proba)
    words = np.arange(n_words, dtype=np.int32)[:, None]
    yield words
    for table in tables[1:]:
        context, last = np.divmod(table.keys, n_words)
        words = np.column_stack([words[context], last.astype(np.int32)])
        yield words
