"""N-grams of items: several in a row. How they are counted, and how those that end a history are found.

The kept n-grams are tables of keys as in a trie: that of an n-gram is the number of the n-gram without its oldest item among
the kept ones, times the number of items, plus the oldest item. Tables ascend, so that an n-gram is found by a search.
"""

import numpy as np

MIN_COUNT = 2  # of what happened once, nothing can be learned that its items do not tell


class NGramCounts:
    """How often n-grams of 2 to `longest` items occur, in block after block.

    Attributes
    ----------
    levels : list, of each length from 2 on (items, counts): (n, length) int64 codes, the last item of an n-gram first, in
        lexicographic order, and (n,) int64
    """

    def __init__(self, longest, levels=()):
        self.longest, self.levels = longest, list(levels)

    def add(self, sequences, n_items):
        """Count the n-grams of Sequences of codes below `n_items`."""
        if self.longest < 2:
            return
        for level, (ngrams, counts) in enumerate(_counted(sequences, n_items, self.longest)):
            if level == len(self.levels):
                self.levels.append((ngrams, counts))
                continue
            known, known_counts = self.levels[level]
            self.levels[level] = _added(np.concatenate([known, ngrams]), np.append(known_counts, counts), n_items)

    def recode(self, codes, n_items):
        """Change the codes of items: that of item i becomes codes[i]."""
        self.levels = [_added(codes[ngrams], counts, n_items) for ngrams, counts in self.levels]

    def tables(self, min_count, n_items):
        """The tables of keys of the n-grams that occur at least `min_count` times, and at least MIN_COUNT times."""
        tables = []
        for ngrams, counts in self.levels:
            ngrams = ngrams[counts >= max(min_count, MIN_COUNT)]
            if not len(ngrams):
                break
            # an n-gram is no more frequent than the same without its oldest item, which therefore is there
            tables.append(_numbers(ngrams, tables, n_items) * n_items + ngrams[:, -1])
        return tuple(tables)


def _numbers(ngrams, tables, n_items):
    """The numbers of n-grams without their oldest items, which are all in these tables of shorter ones."""
    number = ngrams[:, 0]
    for place, table in enumerate(tables, start=1):
        number = np.searchsorted(table, number * n_items + ngrams[:, place])
    return number


def _counted(sequences, n_items, longest):
    """The n-grams of Sequences and how often they occur, of each length from 2 on, as in `NGramCounts.levels`."""
    ids = sequences.ids.astype(np.int64)
    place = np.arange(len(ids)) - np.repeat(sequences.indptr[:-1], sequences.lengths)
    number, ngrams = ids, np.arange(n_items)[:, None]  # of the n-gram that ends at each place, among the shorter ones
    for length in range(2, longest + 1):
        at = np.flatnonzero(place >= length - 1)
        if not len(at):
            return
        keys = number[at] * n_items + ids[at - (length - 1)]
        keys, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
        shorter, oldest = np.divmod(keys, n_items)
        ngrams = np.column_stack([ngrams[shorter], oldest])
        number = np.zeros(len(ids), np.int64)
        number[at] = numbers
        yield ngrams, counts


def _added(ngrams, counts, n_items):
    """Distinct n-grams in lexicographic order, and the sums of their counts."""
    keys = ngrams[:, 0]
    for column in ngrams.T[1:-1]:
        keys = np.unique(keys * n_items + column, return_inverse=True)[1]
    keys = keys * n_items + ngrams[:, -1]
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return ngrams[first], np.bincount(number, counts, len(first)).astype(np.int64)


def ending(histories, tables, n_items):
    """The n-grams that histories end with.

    Parameters
    ----------
    histories : Histories
    tables : sequence of int64 arrays, as `NGramCounts.tables` returns them

    Yields
    ------
    row, number : integer arrays, for each table: the rows that end with one of its n-grams, and its number in there
    """
    number = histories.back(1).astype(np.int64)
    for length, table in enumerate(tables, start=2):
        oldest = histories.back(length)
        key = number * n_items + oldest
        place = np.minimum(np.searchsorted(table, key), len(table) - 1)
        number = np.where((number >= 0) & (oldest >= 0) & (table[place] == key), place, -1)
        row = np.flatnonzero(number >= 0)
        yield row, number[row]


def items_of(tables, n_items):
    """The n-grams of tables, of each one (n, length) int64 codes, the last item first."""
    ngrams, out = np.arange(n_items)[:, None], []
    for table in tables:
        shorter, oldest = np.divmod(table, n_items)
        ngrams = np.column_stack([ngrams[shorter], oldest])
        out.append(ngrams)
    return out


def levels_of(tables, n_items):
    """The `levels` of NGramCounts that kept no more than these tables: each counts as often as it must to be kept."""
    return [(ngrams, np.full(len(ngrams), MIN_COUNT)) for ngrams in items_of(tables, n_items)]
