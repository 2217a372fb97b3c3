"""The most probable next words after contexts, exactly, without the probabilities of all words."""

import numpy as np

from fastsoftmax.ngrams.sentences import BEGIN
from fastsoftmax.ngrams.tables import places
from fastsoftmax.text.keys import find

BLOCK = 1 << 18  # candidates of the contexts that are ranked together: their arrays stay in the caches
ZERO = -1e30  # the log10 of a probability or weight 0 while words are ranked, above that of what is no candidate


class Ranking:
    """The n-grams of each context by falling probability, and the best words that are made of them.

    A word that was not seen after a context ranks among those not seen as it does after the context that is one word
    shorter. So the k best words are among those seen and the best k + d of the shorter context, where d is the number of seen
    words that have less than the back-off would give them. An interpolated model has none; any ARPA file may have some.

    Parameters
    ----------
    tables : list of Table
    """

    def __init__(self, tables):
        self._tables = tables
        self._n_words = len(tables[0].log10_proba)
        self._log10_proba, self._log10_backoff = (
            [np.maximum(getattr(table, name), ZERO) for table in tables] for name in ("log10_proba", "log10_backoff")
        )
        unigrams = np.argsort(-self._log10_proba[0], kind="stable")
        self._unigrams = unigrams[unigrams != BEGIN]
        self._by_proba, self._starts = [], []
        for shorter, table, log10_proba in zip(tables, tables[1:], self._log10_proba[1:], strict=False):
            context = table.keys // self._n_words
            self._by_proba.append(np.lexsort((-log10_proba, context)))
            self._starts.append(np.searchsorted(context, np.arange(len(shorter.log10_proba) + 1)))
        lowered = _most_lowered(tables, self._starts)
        self._more = np.cumsum([0, *lowered[::-1]])[::-1]  # candidates beyond k of each length, from unigrams on

    def best(self, ids, starts, k):
        """The k best words after each context, and their log10 probabilities, (n_contexts, k) each.

        ids, starts : the words of context i are ids[starts[i]:starts[i + 1]]
        """
        n_needed = np.minimum(k + self._more, len(self._unigrams))
        words = np.empty((len(starts) - 1, k), dtype=np.int64)
        log10_proba = np.empty(words.shape)
        step = max(1, BLOCK // int(n_needed[0]))
        for first in range(0, len(words), step):
            bounds = starts[first : first + step + 1]
            contexts = self._contexts(ids[bounds[0] : bounds[-1]], bounds - bounds[0])
            block = slice(first, first + step)
            words[block], log10_proba[block] = self._best(contexts, n_needed)
        log10_proba[log10_proba < ZERO / 2] = -np.inf
        return words, log10_proba

    def _contexts(self, ids, starts):
        """Where the last words of each context are, for each length below the order an array with -1 for those not seen."""
        filled = starts[1:] > starts[:-1]
        is_first = np.zeros(len(ids), dtype=bool)
        is_first[starts[:-1][filled]] = True
        contexts = []
        if len(self._tables) == 1:
            return contexts
        for place in places(self._tables[:-1], ids, is_first):
            contexts.append(np.full(len(filled), -1, dtype=np.int64))
            contexts[-1][filled] = place[starts[1:][filled] - 1]
        return contexts

    def _best(self, contexts, n_needed):
        """The best words given the places of their contexts, from the shortest context on."""
        n_contexts = len(contexts[0]) if contexts else 1  # the words after one that is empty are those after all
        words = np.broadcast_to(self._unigrams[: n_needed[0]], (n_contexts, n_needed[0]))
        log10_proba = self._log10_proba[0][words]
        for length, context in enumerate(contexts, start=1):
            rows = np.flatnonzero(context >= 0)
            merged = self._merged(length, context[rows], words[rows], log10_proba[rows], n_needed[length])
            words, log10_proba = words[:, : n_needed[length]].copy(), log10_proba[:, : n_needed[length]].copy()
            words[rows], log10_proba[rows] = merged
        return words, log10_proba

    def _merged(self, length, context, words, log10_proba, k):
        """The k best of the words seen after contexts of so many words, and of those of the shorter contexts."""
        table = self._tables[length]
        keys = context[:, None] * self._n_words + words
        seen = find(table.keys, keys.ravel())[1].reshape(keys.shape)
        backed_off = log10_proba + self._log10_backoff[length - 1][context][:, None]
        backed_off[seen] = -np.inf

        starts = self._starts[length - 1]
        n_own = min(k, int((starts[context + 1] - starts[context]).max(initial=0)))
        if not n_own:
            return words[:, :k], backed_off[:, :k]
        place = starts[context][:, None] + np.arange(n_own)
        is_own = place < starts[context + 1][:, None]
        place = self._by_proba[length - 1][np.minimum(place, len(table.keys) - 1)]
        own = np.where(is_own, self._log10_proba[length][place], -np.inf)

        words = np.concatenate([table.keys[place] % self._n_words, words], axis=1)
        log10_proba = np.concatenate([own, backed_off], axis=1)
        by_proba = np.argsort(-log10_proba, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(words, by_proba, axis=1), np.take_along_axis(log10_proba, by_proba, axis=1)


def _most_lowered(tables, starts):
    """For each length from 2 on, at most so many words after one context have less than the back-off would give them.

    N-grams whose part without the first word is not in the tables, as may be in pruned models of others, count among them.
    """
    n_words = len(tables[0].log10_proba)
    most, shorter_of = [], None
    for length, table in enumerate(tables[1:], start=1):
        context, words = np.divmod(table.keys, n_words)
        if length == 1:
            shorter, is_there = words, np.ones(len(words), dtype=bool)
        else:
            before = shorter_of[context]
            shorter, is_there = find(tables[length - 1].keys, before * n_words + words)
            is_there &= before >= 0
        lowered = ~is_there
        if len(words):
            backed_off = tables[length - 1].log10_proba[shorter] + tables[length - 1].log10_backoff[context]
            lowered |= table.log10_proba < backed_off
        n_lowered = np.append(0, np.cumsum(lowered))[starts[length - 1]]
        most.append(int(np.diff(n_lowered).max(initial=0)))
        shorter_of = np.where(is_there, shorter, -1)
    return most
