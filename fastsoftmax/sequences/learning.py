"""What SequenceFeatures learn, block after block: the items, their n-grams, and the values of side columns."""

import numpy as np

from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.sequences.items import merged
from fastsoftmax.sequences.ngrams import NGramCounts, levels_of
from fastsoftmax.validation import check_some_items, learn_classes


class Learner:
    """Items and how often they occur, how often n-grams do, and the values of side columns.

    Parameters
    ----------
    longest : int, items in the longest n-grams that are counted
    side : sequence of str, the names of side columns

    Attributes
    ----------
    items : (n_items,) array in the order of classes; None: there are none yet
    counts : (n_items,) int64
    ngrams : NGramCounts in codes of `items`
    values : dict of str to array, those of each side column in the order of classes
    """

    def __init__(self, longest, side):
        self.longest, self.side = longest, tuple(side)
        self.items, self.counts, self.ngrams, self.values = None, None, NGramCounts(longest), {}

    @classmethod
    def knowing(cls, items, tables, values, *, longest, side):
        """A Learner that begins with what was learned and kept: it no longer knows how often that occurred."""
        learner = cls(longest, side)
        learner.items, learner.counts = items, np.ones(len(items), np.int64)
        learner.ngrams.levels = levels_of(tables[: longest - 1], len(items))
        learner.values = {name: values[name] for name in learner.side if name in values}
        return learner

    def copy(self):
        """A Learner that goes on from here, and leaves this one as it is."""
        other = Learner(self.longest, self.side)
        other.items, other.counts, other.values = self.items, self.counts, dict(self.values)
        other.ngrams.levels = list(self.ngrams.levels)
        return other

    def add(self, given):
        """Learn from what is `sources.Given`; return Sequences of the codes that its items now have."""
        if not len(given.labels):
            return Sequences(np.empty(0, np.int32), given.indptr)
        items, codes = learn_classes(given.labels, "sequences")
        if self.items is None:
            self.items, self.counts = items, np.zeros(len(items), np.int64)
        else:
            codes = self._merge(items)[codes]
        self.counts = self.counts + np.bincount(codes, minlength=len(self.items))
        sequences = Sequences(codes.astype(np.int32), given.indptr)
        self.ngrams.add(sequences, len(self.items))
        for name in self.side:
            values, _ = learn_classes(given.columns[name], name)
            self.values[name] = merged(self.values[name], values, name)[0] if name in self.values else values
        return sequences

    def _merge(self, items):
        """Add items, and return the codes that they now have."""
        both, of_known, of_items = merged(self.items, items, "sequences")
        if len(both) > len(self.items):
            counts = np.zeros(len(both), np.int64)
            counts[of_known] = self.counts
            self.items, self.counts = both, counts
            self.ngrams.recode(of_known, len(both))
        return of_items

    def kept(self, min_count):
        """Which items occur at least `min_count` times, (n_items,) bool; ValueError where there are none."""
        check_some_items("sequences", 0 if self.items is None else len(self.items))
        return self.counts >= min_count


def tables_of(sequences, kept, longest, min_count):
    """The tables of n-grams of Sequences without the items that are not kept, (n_items,) bool."""
    number = np.cumsum(kept) - 1
    sequences = sequences.kept(kept[sequences.ids])
    counts, n_items = NGramCounts(longest), int(kept.sum())
    counts.add(Sequences(number[sequences.ids].astype(np.int32), sequences.indptr), n_items)
    return counts.tables(min_count, n_items)
