"""SequenceFeatures: rows that describe histories."""

import collections
import math

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.sequences.items import encoded, learned
from fastsoftmax.validation import check_bool, check_int, check_real

__all__ = ["SequenceFeatures"]

BLOCK = 1 << 14  # rows at a time, which bounds the memory
MOST_PLACES = 1000


class SequenceFeatures(TransformerMixin, BaseEstimator):
    """The items of histories as features, for a classifier of the next item.

    A row has the items of a history as a bag, in which earlier ones count less, and then the last items by their places::

        features = SequenceFeatures()
        X, y = features.fit(sequences).prefixes(sequences)
        model = SoftmaxClassifier(hidden_size=128).fit(X, y)
        items, log_proba = model.predict_topk(features.transform(histories), k=20)

    `NextItemModel` does all of this, and more.

    Parameters
    ----------
    places : int
        There is a block of columns for each of the last `places` items.
    decay : float in [0, 1]
        An item of the bag counts decay ** (places that it lies before the last one); one that occurs several times adds
        them up. 1: all count alike; 0: there is no bag.
    even : float
        The length of a second bag, in which items count alike, wherever they lie; 0: there is none. Users' histories need
        it, and sessions do not mind.
    max_length : int
        The bags have so many of the last items.
    min_count : int
        Items that occur less often in `fit` have no columns and are no targets.
    unit_length : bool
        Whether rows are scaled to length 1.

    Attributes
    ----------
    items_ : (n_items,) array of the items, sorted as `classes_` of a classifier are
    n_features_ : int, (places + 2) * n_items, or (places + 1) * n_items where `even` is 0
    """

    def __init__(self, *, places=2, decay=0.7, even=0.5, max_length=50, min_count=1, unit_length=True):
        self.places = places
        self.decay = decay
        self.even = even
        self.max_length = max_length
        self.min_count = min_count
        self.unit_length = unit_length

    def fit(self, sequences, y=None):
        """Learn the items.

        Parameters
        ----------
        sequences : iterable of sequences of items
            Items are labels: integers, strings or any hashable objects. The oldest item comes first.
        """
        self.check()
        items, codes = learned(sequences, "sequences")
        counts = np.bincount(codes.ids, minlength=len(items))
        if counts.max() < self.min_count:
            raise ValueError(
                f"min_count must be at most {counts.max()}, the most often that an item occurs, got {self.min_count}"
            )
        self.items_ = items[counts >= self.min_count]
        return self

    def partial_fit(self, sequences, y=None):
        """Learn further items, whose columns change the numbers of those before: `min_count` must be 1."""
        self.check()
        if self.min_count > 1:
            raise ValueError(f"min_count must be 1 for partial_fit, which sees parts, got {self.min_count}")
        items, _ = learned(sequences, "sequences")
        known = getattr(self, "items_", items)
        self.items_ = learned([known, items], "sequences")[0]
        return self

    def transform(self, sequences):
        """A row for what comes after each sequence, CSR of float32 (n_sequences, n_features).

        Items that `fit` has not kept are left out, as if they had not been there.
        """
        check_is_fitted(self, "items_")
        return self.rows(encoded(sequences, self.items_, "sequences").wholes())

    def prefixes(self, sequences):
        """A row for each item but the first of its sequence, which describes what comes before; and these items.

        Returns
        -------
        X : csr_array of float32, shape (n_rows, n_features)
        y : array, shape (n_rows,)
        """
        check_is_fitted(self, "items_")
        histories, targets, _ = encoded(sequences, self.items_, "sequences").prefixes()
        return self.rows(histories), self.items_[targets]

    @property
    def n_features_(self):
        check_is_fitted(self, "items_")
        return self._n_blocks * len(self.items_)

    @property
    def _n_blocks(self):
        return 1 + bool(self.even) + self.places

    def get_feature_names_out(self, input_features=None):
        """The names of the columns: "item" in the bag, "item, anywhere" in the even one, "item, 1 back" and so on."""
        check_is_fitted(self, "items_")
        names = [str(item) for item in self.items_.tolist()]
        blocks = ["", *[", anywhere"][: bool(self.even)], *(f", {place + 1} back" for place in range(self.places))]
        return np.array([name + block for block in blocks for name in names], object)

    def rows(self, histories):
        """The rows of Histories of codes of `items_`."""
        starts = range(0, max(histories.n_rows, 1), BLOCK)
        blocks = [self._block(histories.rows(slice(start, start + BLOCK))) for start in starts]
        return blocks[0] if len(blocks) == 1 else sparse.vstack(blocks, format="csr")

    def _block(self, histories):
        n_items, n_rows = len(self.items_), histories.n_rows
        row, item, back = histories.entries(self.max_length)
        item = item.astype(np.int64)
        blocks = [(row, item, np.power(self.decay, back))] if self.decay else []
        if self.even:
            lengths = np.minimum(np.maximum(histories.lengths, 1), self.max_length)
            blocks.append((row, item + n_items, self.even / np.sqrt(lengths)[row]))
        for place in range(1, self.places + 1):
            last = histories.back(place)
            has = np.flatnonzero(last >= 0)
            column = last[has] + np.int64((self._n_blocks - self.places - 1 + place) * n_items)
            blocks.append((has, column, np.ones(len(has))))
        rows, columns, values = map(np.concatenate, zip(*blocks, strict=True))
        X = sparse.csr_array((values.astype(np.float32), (rows, columns)), shape=(n_rows, self._n_blocks * n_items))
        X.sum_duplicates()
        if self.unit_length:
            lengths = np.sqrt(np.add.reduceat(np.append(X.data**2, 0.0), X.indptr[:-1]))
            X.data /= np.repeat(lengths, np.diff(X.indptr))
        return X

    def row(self, items):
        """The row after one history, in less time than `rows` takes; the numbers of all columns must have 32 bits.

        items : list of codes of `items_`, the oldest first

        Returns
        -------
        columns : (n,) int32, ascending
        values : (n,) float32
        """
        n_items, last = len(self.items_), items[: -self.max_length - 1 : -1]
        bag, weight = dict.fromkeys(last, 0.0), 1.0
        order, columns, values = sorted(bag), [], []
        if self.decay:
            for item in last:
                bag[item] += weight
                weight *= self.decay
            columns, values = list(order), [bag[item] for item in order]
        if self.even:
            counts, weight = collections.Counter(last), self.even / math.sqrt(max(len(last), 1))
            columns += [item + n_items for item in order]
            values += [counts[item] * weight for item in order]
        for block, item in enumerate(items[: -self.places - 1 : -1], start=self._n_blocks - self.places):
            columns.append(item + block * n_items)
            values.append(1.0)
        values = np.array(values, np.float32)
        if self.unit_length and len(values):
            values /= np.sqrt(values @ values)
        return np.array(columns, np.int32), values

    def check(self):
        """Raise where a parameter is not what it must be; return self."""
        check_int("places", self.places, minimum=0, maximum=MOST_PLACES)
        check_real("decay", self.decay, minimum=0, maximum=1)
        check_int("max_length", self.max_length, minimum=1)
        check_int("min_count", self.min_count, minimum=1)
        check_bool("unit_length", self.unit_length)
        check_real("even", self.even, minimum=0)
        if not self.places and not self.decay and not self.even:
            raise ValueError("places must be at least 1 where decay and even are 0, got 0")
        return self
