"""The distinct n-grams of sentences and how often they come, of all lengths from one sort of the text's positions.

Sorted by the words before them, the nearest first, positions that share their last n words are neighbours, whatever n is. That
holds for those whose sentences begin within these words, too, wherever the words of the sentences before sort them.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.ngrams.sentences import BEGIN

NONE = 0  # the place of a word before the beginning of a sentence; no word of a text has this code, which is UNKNOWN's
PACKED_BITS = 63


class Counts(NamedTuple):
    """The distinct n-grams of one length, sorted by their last word, then by the one before it, and so on."""

    words: np.ndarray  # the last one
    context: np.ndarray  # where the n-gram without its last word is, one length below; None for unigrams
    shorter: np.ndarray  # where the n-gram without its first word is
    occurrences: np.ndarray
    counts: np.ndarray  # as Kneser and Ney count: of shorter ones than the longest, how many words come before them


def count_ngrams(ids, n_words, order):
    """The Counts of each length from 1 to `order`; of unigrams, the place is the code of the word.

    The word BEGIN, which only begins sentences and is never predicted, counts 0 as a unigram. N-grams that begin with it have
    no word before them, and count as often as they occur.

    Parameters
    ----------
    ids : ndarray of int32
        Codes below n_words, each sentence from BEGIN to END; all but NONE occur.
    n_words, order : int
    """
    rows = _sorted_positions(ids, order)
    reach = _words_before(ids)[rows]
    words = place = ids[rows]  # of each row: the last word, and the place of its n-gram, any number where it has none
    row_of = np.empty(len(ids), dtype=np.int32)
    row_of[rows] = np.arange(len(ids), dtype=np.int32)
    rows -= 1  # from here on, the positions some words before
    row_before = row_of.take(rows, mode="clip")
    del row_of

    occurrences = np.bincount(ids, minlength=n_words)
    orders = [[words_of_unigrams(n_words), None, None, occurrences, None]]
    begins_sentence = orders[0][0] == BEGIN
    is_new = np.append(True, words[1:] != words[:-1])
    for length in range(2, order + 1):
        is_ngram = reach >= length - 1
        first_word = ids.take(rows, mode="clip")
        rows -= 1
        first_word[~is_ngram] = NONE
        is_new[1:] |= first_word[1:] != first_word[:-1]
        is_first = is_new & is_ngram
        first = np.flatnonzero(is_first)
        shorter, context = place[first], place[row_before[first]]
        counts = np.bincount(shorter, minlength=len(occurrences))
        orders[-1][-1] = np.where(begins_sentence, occurrences, counts)
        starts = np.flatnonzero(is_new)
        occurrences = np.diff(starts, append=len(ids))[is_ngram[starts]]
        begins_sentence = first_word[first] == BEGIN
        orders.append([words[first], context, shorter, occurrences, None])
        place = np.cumsum(is_first, dtype=np.int32)
        place -= 1
    orders[-1][-1] = occurrences
    orders[0][-1][BEGIN] = 0
    return [Counts(*parts) for parts in orders]


def words_of_unigrams(n_words):
    """The codes of all words."""
    return np.arange(n_words, dtype=np.int32)


def _words_before(ids):
    """The number of words of its sentence before each position."""
    positions = np.arange(len(ids), dtype=np.int32)
    return positions - np.maximum.accumulate(np.where(ids == BEGIN, positions, 0))


def _sorted_positions(ids, order):
    """All positions, sorted by their last `order` words, the last one first, also across beginnings of sentences.

    The ranks by so many words and the ranks so many places before give the ranks by twice as many.
    """
    rows, ranks, length = None, ids, 1
    while length < order:
        step = min(length, order - length)  # windows of words may overlap
        further = np.zeros(len(ids), dtype=np.int64)
        further[step:] = ranks[:-step]
        length += step
        rows, ranks = _ranked(ranks, further, length < order)
    return np.argsort(ids, kind="stable") if rows is None else rows


def _ranked(high, low, ranks_too):
    """The order of positions by two numbers each, and their ranks if these are asked for: equal ones share theirs."""
    n = len(high)
    low_bits, row_bits = int(low.max()).bit_length(), n.bit_length()
    keys = high.astype(np.int64)
    keys <<= low_bits
    keys |= low
    if int(high.max()).bit_length() + low_bits + row_bits <= PACKED_BITS:  # sorting numbers is several times faster
        keys <<= row_bits
        keys |= np.arange(n)
        keys.sort()
        rows = keys & ((1 << row_bits) - 1)
        keys >>= row_bits
    else:
        rows = np.argsort(keys)
        keys = keys[rows]
    if not ranks_too:
        return rows, None
    ranks = np.empty(n, dtype=np.int32)
    ranks[rows] = np.cumsum(np.append(0, keys[1:] != keys[:-1]), dtype=np.int32)
    return rows, ranks
