"""SequenceFeatures: rows that describe histories."""

import collections
import math

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.sequences import kinds
from fastsoftmax.sequences.learning import Learner, tables_of
from fastsoftmax.sequences.sources import NO_ITEMS, Coded, blocks_of, given
from fastsoftmax.sequences.targets import later_items
from fastsoftmax.validation import (
    check_blocks_learn,
    check_bool,
    check_has_no_stream,
    check_int,
    check_item_count,
    check_real,
    check_side,
)

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
    ngrams : int
        The last items together: there are columns for the last two, the last three, up to the last `ngrams`, of those
        n-grams that occur at least twice in `fit`, and at least `min_count` times.
    half_life : float, optional
        An item of the bag besides counts half as much for so much time that it lies before the last one. It is in the unit
        of the times, and in seconds where these are dates. ``decay=1`` leaves it to the time alone.
    length_buckets : bool
        Whether there are columns for the number of items in a history: none, 1, 2 to 3, 4 to 7, and so on. In `prefixes`
        it is the number of the step in the sequence.
    side : str or sequence of str
        Further columns of a table of events: its values, such as users, or the categories of items, have columns of the
        rows. A value has its share of what the items of the bag count: a user 1, a category more if the last items have it.

    Attributes
    ----------
    items_ : (n_items,) array of the items, sorted as `classes_` of a classifier are
    side_values_ : dict of str to array, the values of each side column
    n_features_ : int, (places + 2) * n_items, or (places + 1) * n_items where `even` is 0; and those of n-grams, buckets of
        lengths and side columns

    Notes
    -----
    All methods take **sequences** as

    - an iterable of sequences of items, the oldest first: lists, tuples or arrays. Items are labels: integers, strings or
      any hashable objects;
    - a tuple of two arrays (ids, starts): all sequences lie end to end in `ids`, and begin at `starts`;
    - a table of events: a DataFrame (pandas, polars, pyarrow), or a dict of columns. It has the columns "user" and "item",
      and may have "time", numbers or dates, without which events are in order. A sequence is what a user has, and users are
      in the order of `sequences.events.users_and_sequences`: the one whose last event is the oldest comes first.
      `half_life` and `side` need a table;
    - a stream: an iterator of blocks, each of which is a table, a tuple of arrays, or a list of lists or arrays, and holds
      whole sequences. `transform` and `prefixes` then return iterators over what they return of a block, for
      `SoftmaxClassifier.partial_fit`.

    In a history, an event whose item is not known is left out with all that belongs to it.
    """

    _ngrams = ()  # tables of those that have columns: see sequences.ngrams
    _learner = None  # what partial_fit goes on from
    ngrams, half_life, length_buckets, side = 1, None, False, ()  # of objects that were pickled by earlier versions

    def __init__(
        self,
        *,
        places=2,
        decay=0.7,
        even=0.5,
        max_length=50,
        min_count=1,
        unit_length=True,
        ngrams=1,
        half_life=None,
        length_buckets=False,
        side=(),
    ):
        self.places = places
        self.decay = decay
        self.even = even
        self.max_length = max_length
        self.min_count = min_count
        self.unit_length = unit_length
        self.ngrams = ngrams
        self.half_life = half_life
        self.length_buckets = length_buckets
        self.side = side

    def fit(self, sequences, y=None):
        """Learn the items, and with them the n-grams and the values of side columns.

        Parameters
        ----------
        sequences : see the class
            Of a stream, with n-grams, `min_count` must be 1: what is rare is known only at its end.

        Returns
        -------
        self
        """
        self.check()
        blocks, sequences = blocks_of(sequences)
        # without rare items, others come to be in a row
        learner = Learner(self.ngrams if self.min_count == 1 else 1, check_side(self.side))
        if blocks is None:
            sequences = learner.add(self._given(sequences, learner.side))
        else:
            check_blocks_learn(self.min_count, ngrams=self.ngrams)
            for block in blocks:
                learner.add(self._given(block, learner.side, items=NO_ITEMS))
        kept = learner.kept(self.min_count)
        check_item_count(learner.counts, self.min_count)
        if self.min_count == 1:
            return self._set_fitted(learner)
        self.items_, self.side_values_, self._learner = learner.items[kept], learner.values, None
        self._ngrams = tables_of(sequences, kept, self.ngrams, self.min_count) if self.ngrams > 1 else ()
        return self

    def partial_fit(self, sequences, y=None):
        """Learn further items, whose columns change the numbers of those before: `min_count` must be 1.

        So learn from the whole of a stream first, and make rows of it then.
        """
        self.check()
        if self.min_count > 1:
            raise ValueError(f"min_count must be 1 for partial_fit, which sees parts, got {self.min_count}")
        learner = self._learner_so_far()
        blocks, sequences = blocks_of(sequences)
        if blocks is None:
            learner.add(self._given(sequences, learner.side))
        else:
            for block in blocks:
                learner.add(self._given(block, learner.side, items=NO_ITEMS))
            learner.kept(1)
        return self._set_fitted(learner)

    def fit_transform(self, sequences, y=None):
        """The same as `fit` and then `transform`; sequences are no stream here."""
        blocks, sequences = blocks_of(sequences)
        check_has_no_stream("sequences", blocks is not None)
        return self.fit(sequences).transform(sequences)

    def transform(self, sequences):
        """A row for what comes after each sequence, CSR of float32 (n_sequences, n_features).

        Items that `fit` has not kept are left out, as if they had not been there, and so are values of side columns.
        """
        check_is_fitted(self, "items_")
        blocks, sequences = blocks_of(sequences)
        return self._transform(sequences) if blocks is None else map(self._transform, blocks)

    def prefixes(self, sequences, *, reverses=False, n_targets=1, target_decay=0.5):
        """A row for each item but the first of its sequence, which describes what comes before; and these items.

        Parameters
        ----------
        sequences : see the class
        reverses : bool
            Whether there are rows of each sequence read from its end, too, after all others: a way to have more rows.
        n_targets : int
            How many of the next items a row has as targets.
        target_decay : float in (0, 1]
            The mass of a target, for that of the one before it; the masses of a row add up to 1.

        Returns
        -------
        X : csr_array of float32, shape (n_rows, n_features)
        y : array, shape (n_rows,); with several targets csr_array of float64, shape (n_rows, n_items)
            The items; or masses of `items_`, with which the classes of a classifier are column numbers:
            ``features.items_[model.predict(X)]``.
        """
        check_is_fitted(self, "items_")
        reverses, n_targets = check_bool("reverses", reverses), check_int("n_targets", n_targets, minimum=1)
        target_decay = check_real("target_decay", target_decay, above=0, maximum=1)
        blocks, sequences = blocks_of(sequences)
        if blocks is None:
            return self._prefixes(sequences, reverses, n_targets, target_decay)
        return (self._prefixes(block, reverses, n_targets, target_decay) for block in blocks)

    @property
    def n_features_(self):
        check_is_fitted(self, "items_")
        return sum(kind.n_columns for kind in self._kinds())

    def get_feature_names_out(self, input_features=None):
        """The names of the columns.

        "item" in the bag, "item, anywhere" in the even one, "item, 1 back" and so on by place, "item then item" of n-grams,
        "2 to 3 items" of lengths, "user value" of the side column "user".
        """
        check_is_fitted(self, "items_")
        items = [str(item) for item in self.items_.tolist()]
        return np.array([name for kind in self._kinds() for name in kind.names(items)], object)

    def rows(self, histories):
        """The rows of Histories of codes of `items_`."""
        return self._rows(histories, None, {})

    def row(self, items):
        """The row after one history, in less time than `rows` takes; of bags and places alone.

        The numbers of all columns must have 32 bits.

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
        for block, item in enumerate(items[: -self.places - 1 : -1], start=1 + bool(self.even)):
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
        check_int("ngrams", self.ngrams, minimum=1, maximum=MOST_PLACES)
        check_bool("length_buckets", self.length_buckets)
        side = check_side(self.side)
        if self.half_life is not None:
            check_real("half_life", self.half_life, above=0)
            if not self.decay:
                raise ValueError(f"decay must be above 0 where half_life is {self.half_life}, got 0: there is no bag")
        others = self.ngrams > 1 or self.length_buckets or side
        if not self.places and not self.decay and not self.even and not others:
            raise ValueError("places must be at least 1 where decay and even are 0, got 0")
        return self

    @property
    def _values(self):
        return getattr(self, "side_values_", {})

    def _given(self, sequences, side, items=None):
        return given("sequences", sequences, side=side, timed=self.half_life is not None, items=items)

    def _learner_so_far(self):
        """A Learner that knows what there is, and that can be given up."""
        side = check_side(self.side)
        if self._learner is not None and (self._learner.longest, self._learner.side) == (self.ngrams, side):
            return self._learner.copy()
        if not hasattr(self, "items_"):
            return Learner(self.ngrams, side)
        return Learner.knowing(self.items_, self._ngrams, self._values, longest=self.ngrams, side=side)

    def _set_fitted(self, learner):
        self.items_, self.side_values_, self._learner = learner.items, learner.values, learner
        self._ngrams = learner.ngrams.tables(1, len(learner.items))
        return self

    def _coded(self, sequences):
        sequences = self._given(sequences, tuple(self._values), self.items_)
        return Coded.of(sequences, self.items_, self._values, "sequences")

    def _transform(self, sequences):
        coded = self._coded(sequences)
        return self._rows(coded.sequences.wholes(), coded.times, coded.columns)

    def _prefixes(self, sequences, reverses, n_targets, target_decay):
        coded = self._coded(sequences)
        if reverses:
            coded = coded.with_reverses()
        histories, targets, sequence = coded.sequences.prefixes()
        X = self._rows(histories, coded.times, coded.columns)
        if n_targets == 1:
            return X, self.items_[targets]
        return X, later_items(coded.sequences, histories, sequence, n_targets, target_decay, len(self.items_))

    def _kinds(self):
        """The kinds of features, in the order of their columns."""
        n_items = len(self.items_)
        parts = [kinds.Bag(n_items, counts=bool(self.decay))]  # its columns are there even where nothing is in them
        if self.even:
            parts.append(kinds.EvenBag(n_items, self.even))
        parts += [kinds.Place(n_items, place) for place in range(1, self.places + 1)]
        if self._ngrams:
            parts.append(kinds.NGrams(n_items, self._ngrams))
        if self.length_buckets:
            parts.append(kinds.LengthBuckets())
        return parts + [kinds.Shares(*of_column) for of_column in self._values.items()]

    def _rows(self, histories, times, columns):
        """The rows of Histories; times, columns : what is known of the events besides their items, as `Coded` has it."""
        starts = range(0, max(histories.n_rows, 1), BLOCK)
        parts, blocks = self._kinds(), []
        options = {"decay": self.decay, "half_life": self.half_life, "max_length": self.max_length}
        for start in starts:
            rows = kinds.Rows(histories.rows(slice(start, start + BLOCK)), times, columns, **options)
            blocks.append(kinds.matrix(parts, rows))
            if self.unit_length:
                kinds.scale_to_unit_length(blocks[-1])
        return blocks[0] if len(blocks) == 1 else sparse.vstack(blocks, format="csr")
