"""The n-grams that end before a token as features."""

import numpy as np

from fastsoftmax.text.checked import Checked
from fastsoftmax.text.contexts import (
    BOUNDARY,
    Contexts,
    InternedNGrams,
    Kind,
    Level,
    hashed_columns,
    longest_document,
    windows,
)
from fastsoftmax.text.keys import KeyCounts
from fastsoftmax.text.kneser_ney import kneser_ney_weights
from fastsoftmax.text.rows import rows_of_columns, rows_of_ones
from fastsoftmax.validation import (
    check_bool,
    check_chunk,
    check_discounts,
    check_documents,
    check_int,
    check_memory,
    check_repeatable,
    check_same_rows,
)


class NGramFeatures(Checked):
    """The last tokens before each token, and their conjunctions: the features of an n-gram maximum-entropy model.

    Row i describes what comes before token i, so the tokens themselves are the labels::

        features = NGramFeatures(order=5, min_count=2)
        X = features.fit_transform(ids, starts)
        model = SoftmaxClassifier(direct="sparse", hidden_size=None).fit(X, ids)

    Parameters
    ----------
    order : int
        The order of the n-gram model: there is a feature for the last token, one for the last two together, ..., one for
        the last order - 1 together. Order 1 is the unigram model, which has no features. Any order beyond the longest
        document is the same.
    places : int
        There is also a feature for each of the last `places` tokens by itself, by how far back it is. The last token alone
        is the first of the conjunctions and does not come twice, so that with order 2 or more, 0 and 1 are the same.
    min_count : int
        Features that occur in fewer rows in `fit` are dropped, then and later.
    n_hashed : int, optional
        Hash the features to this many columns instead of counting and numbering them. That takes neither `fit` nor memory,
        and needs min_count=1. Features that share a column cannot be told apart; a row with two of them has a 2 there.
    boundary : bool
        Whether the beginning of a document is a token like others, before the first: rows near the beginning then
        have n-grams with it, as in language models with a sentence-start token. It occurs once: the first row
        has the one feature "boundary", and no context reaches further back.

    Attributes
    ----------
    n_features_ : int
        Number of columns.
    BOUNDARY : int
        What `describe` returns for the beginning of a document: -1.

    Notes
    -----
    Columns are numbered by kind: the last token, the last two, ..., the last order - 1; then the token two back, three
    back, ..., `places` back. Within a kind they are numbered by the tokens, the last token first: all n-grams that end with
    the lowest token come first, and among these the ones with the lowest token before it. The boundary is lower than any
    token. So the numbering depends on the set of features alone, and the columns of a row ascend.

    N-grams are interned as in a trie, each as the n-gram without its oldest token, and that token: no two share a column,
    whatever the number of tokens and the order. An n-gram is only counted if its shorter n-grams were kept, which loses
    none, since it occurs no more often than they do.

    `fit` takes 8 bytes a feature for the result; for a while 16 bytes, and for moments up to about 80, for each distinct
    n-gram of one length whose shorter n-grams were kept; and about 70 bytes a row of a block, and 8 for each feature of the
    row.
    """

    BOUNDARY = BOUNDARY

    def __init__(self, order=3, *, places=0, min_count=1, n_hashed=None, boundary=True):
        self.order = check_int("order", order, minimum=1)
        self.places = check_int("places", places, minimum=0)
        self.min_count = check_int("min_count", min_count, minimum=1)
        self.n_hashed = None if n_hashed is None else check_int("n_hashed", n_hashed, minimum=1, maximum=2**31 - 1)
        self.boundary = check_bool("boundary", boundary)
        if n_hashed is not None and min_count > 1:
            raise ValueError(f"min_count must be 1 with n_hashed, which counts nothing, got {min_count}")
        self._levels = self._offsets = None  # until `fit`

    @property
    def n_features_(self):
        self._check_fitted()
        return int(self._offsets[-1]) if self.n_hashed is None else self.n_hashed

    def fit(self, ids, starts, *, block_rows=2**22):
        """Count the features and number those that are kept. With n_hashed there is nothing to do.

        Parameters
        ----------
        ids : array of int, shape (n_tokens,)
            Tokens of all documents, one document after the other, not negative. May be a np.memmap.
        starts : array_like of int, shape (n_documents,)
            Where each document begins, ascending from 0; empty documents are fine. A context never reaches beyond a start.
        block_rows : int
            Rows that are looked at together, which bounds the memory. More blocks take more time; the result is the same.

        Returns
        -------
        self
        """
        ids, starts = check_documents(ids, starts)
        block_rows = check_int("block_rows", block_rows, minimum=1)
        if self.n_hashed is not None:
            return self
        if len(ids) > block_rows:
            self._fit(lambda: (self._ngrams(*window) for _, *window in self._windows(ids, starts, block_rows)))
        else:
            self._fit([self._ngrams(ids, starts)].__iter__)
        return self

    def fit_chunks(self, chunks):
        """Count features over documents that are not in memory together.

        Parameters
        ----------
        chunks : iterable of (ids, starts), or function that returns one
            Each chunk holds whole documents, `ids` and `starts` as in `fit`. All chunks are gone through once for each kind
            of feature, so an iterator that ends is refused: give a list, or the function that makes the iterator.

        Returns
        -------
        self

        Notes
        -----
        `transform` of the same chunks, one by one, gives the rows for `SoftmaxClassifier.partial_fit`.
        """
        chunks = check_repeatable("chunks", chunks)
        if self.n_hashed is None:
            self._fit(lambda: (self._ngrams(*check_chunk("chunks", chunk)) for chunk in chunks()))
        return self

    def transform(self, ids, starts):
        """The features of each row. `ids` and `starts` are those of `fit`.

        Returns
        -------
        csr_matrix of float32, shape (n_tokens, `n_features_`)
            Ones, in canonical format. A feature that `fit` has not kept is left out, so that rows can be empty.

        Notes
        -----
        For the token that follows the last one, append any token to `ids` and take the last row.
        """
        return self._transform(*check_documents(ids, starts))

    def fit_transform(self, ids, starts):
        """The same as `fit` and then `transform`, in less time."""
        ids, starts = check_documents(ids, starts)
        if self.n_hashed is not None:
            return self._transform(ids, starts)
        ngrams = self._ngrams(ids, starts)
        self._fit([ngrams].__iter__)
        return self._rows(ngrams)

    def blocks(self, ids, starts, n_rows=2**16):
        """The rows of `transform`, block by block, each row with its whole context.

        Parameters
        ----------
        ids, starts
            As in `fit`.
        n_rows : int
            Rows in a block; the last block can be shorter.

        Yields
        ------
        rows : slice
        X : csr_matrix
            ``transform(ids, starts)[rows]``, so that ``model.partial_fit(X, ids[rows], classes)`` trains on a block.
        """
        ids, starts = check_documents(ids, starts)
        n_rows = check_int("n_rows", n_rows, minimum=1)
        self._check_fitted()
        return ((rows, self._transform(*window)) for rows, *window in self._windows(ids, starts, n_rows))

    def describe(self, column):
        """What a column stands for.

        Returns
        -------
        tuple of int or None
            The tokens before a row in the order of the text: (7, 3) is "3 after 7", (7, None) is "7, and then any token".
            -1 is the beginning of a document.

        Raises
        ------
        ValueError
            With n_hashed, since a column can then stand for many features, or none.
        """
        if self.n_hashed is not None:
            raise ValueError(f"n_hashed must be None to describe columns, got {self.n_hashed}")
        self._check_fitted()
        column = check_int("column", column, minimum=0, maximum=self.n_features_ - 1)
        i = int(np.searchsorted(self._offsets, column, side="right")) - 1
        kind, table = self._levels[i]
        vocabulary, key = self._levels[0].table, int(table[column - self._offsets[i]])
        back = (None,) * (kind.place - 1)
        if i and not kind.together:
            return (int(vocabulary[key]), *back)
        tokens = []
        for level in reversed(self._levels[:i]):
            shorter, code = divmod(key, len(vocabulary))
            tokens.append(int(vocabulary[code]))
            key = int(level.table[shorter])
        return (*tokens, key)

    def kneser_ney(self, ids, starts, n_classes, *, discounts=None, min_pair_count=1):
        """The interpolated modified Kneser-Ney model of these n-grams, as the weights of a softmax, without any training.

        Parameters
        ----------
        ids, starts
            As in `fit`, and usually the same; `ids` are below n_classes.
        n_classes : int
        discounts : array_like of float, shape (3,) or (order, 3), optional
            What is taken off the counts of n-grams counted once, twice, and more often, at most 1, 2 and 3: for all orders
            alike, or for each order, the unigrams first. By default they are estimated for each order, or (0.5, 1, 1.5) if
            it has too few n-grams for that.
        min_pair_count : int
            N-grams of four or more tokens that occur less often get no weight; their mass goes to the shorter ones.

        Returns
        -------
        W : csc_array of float32, shape (n_classes, `n_features_`)
            Weights for `linear_cross_entropy` and others, with the rows of `transform`. They are positive where a class was
            seen after the tokens of a column. The columns of single tokens that `places` adds are empty.
        bias : ndarray of float32, shape (n_classes,)

        Notes
        -----
        Let j' be the history j without its oldest token. The model gives class k after the history j the probability::

            p(k | j) = (c(jk) - D(c(jk))) / c(j)  +  gamma(j) p(k | j'),    gamma(j) = sum over k of D(c(jk)) / c(j)

        The weights are ``w_jk = log p(k | j) - log(gamma(j) p(k | j'))``, and 0 for pairs not seen; the bias is log p(k). A
        row has its histories of all lengths as features, so its logits are log p(k | longest history) minus a sum of
        log gamma that is the same for all classes, and their softmax is the model. The unigrams are interpolated with the
        uniform distribution. For the longest histories c(jk) is a number of rows; for shorter ones it is the number of
        different histories, one token longer, after which k was seen. A row that has no longer history (at the beginning of
        a document, or because that history has no column) counts by itself.

        References
        ----------
        Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling,
        doi:10.1006/csla.1999.0128. Kneser and Ney (1995), Improved backing-off for m-gram language modeling,
        doi:10.1109/ICASSP.1995.479394.
        """
        if self.n_hashed is not None:
            raise ValueError(f"n_hashed must be None for the weights of n-grams, got {self.n_hashed}")
        self._check_fitted()
        n_classes = check_int("n_classes", n_classes, minimum=1, maximum=2**31 - 1)
        ids, starts = check_documents(ids, starts, n_classes)
        discounts = check_discounts(discounts, self.order)
        min_pair_count = check_int("min_pair_count", min_pair_count, minimum=1)
        ngrams = self._ngrams(ids, starts)
        ngrams.advance([level for level in self._levels if level.kind.together][: self.order - 1])
        return kneser_ney_weights(ngrams.columns, ids, n_classes, self.n_features_, discounts, min_pair_count)

    def columns_after(self, ids):
        """The columns of the row after the tokens of one document, without `places`: those of `transform`, in less time."""
        self._check_fitted()
        tokens = np.append(BOUNDARY, ids[-self.order :])[len(ids) > self.order or not self.boundary :][::-1]
        levels = [level for level in self._levels if level.kind.together]
        found, before = [], 0
        for place, level, offset in zip(range(self.order - 1), levels, self._offsets.tolist(), strict=False):
            if place == len(tokens):
                break
            if place == 0:
                vocabulary, key = level.table, tokens[0]
            else:
                code = int(np.searchsorted(vocabulary, tokens[place]))
                if code == len(vocabulary) or vocabulary[code] != tokens[place]:
                    break
                key = (found[-1] - before) * len(vocabulary) + code
            column = int(np.searchsorted(level.table, key))
            if column == len(level.table) or level.table[column] != key:
                break
            found.append(offset + column)
            before = offset
        return found

    def tables(self):
        """What `fit` has found, a list of int64 arrays, for `from_tables`."""
        self._check_fitted()
        return [level.table for level in self._levels]

    @classmethod
    def from_tables(cls, tables, **parameters):
        """The features that were fitted with these parameters and had these `tables`."""
        features = cls(**parameters)
        kinds = (Kind(place, together) for together, places in features._kinds() for place in places)
        features._levels = [Level(kind, table) for kind, table in zip(kinds, tables, strict=False)]
        features._offsets = np.cumsum([0, *(len(table) for table in tables)])
        return features

    def _kinds(self):
        """The kinds of features in the order of their columns, as (whether tokens are together, places)."""
        return (True, range(1, max(self.order - 1, min(self.places, 1)) + 1)), (False, range(2, self.places + 1))

    def _check_fitted(self):
        if self.n_hashed is None and getattr(self, "_levels", None) is None:
            raise AttributeError("this NGramFeatures is not fitted: call fit, fit_transform or fit_chunks first")

    def _fit(self, passes):
        """Count the features of one kind after the other; `passes()` iterates over the rows, as InternedNGrams.

        It ends where documents do, and where no n-gram is frequent enough to be part of a longer one: `order` and `places`
        may be any number.
        """
        levels, n_rows, longest = [], None, 1
        for together, places in self._kinds():
            for place in places:
                if place > longest or (together and levels and not len(levels[-1].table)):
                    break
                kind, counts = Kind(place, together), KeyCounts()
                longest = n_rows_now = most_rows = 0
                for ngrams in passes():
                    ngrams.advance(levels)
                    counts.add(ngrams.keys(kind))
                    longest, most_rows = max(longest, ngrams.longest), max(most_rows, len(ngrams))
                    n_rows_now += len(ngrams)
                check_same_rows("chunks", n_rows, n_rows_now)
                n_rows = n_rows_now
                levels.append(Level(kind, counts.at_least(self.min_count)))
                _check_columns(most_rows, len(levels) if self.min_count > 1 else self._n_kinds(longest))
        self._levels = levels
        self._offsets = np.cumsum([0, *(len(level.table) for level in levels)])

    def _n_kinds(self, longest):
        """The number of kinds that rows can have which have at most `longest` tokens before them."""
        return sum(len(_up_to(longest, places)) for _, places in self._kinds())

    def _ngrams(self, ids, starts, skip=0):
        return InternedNGrams(Contexts(ids, starts, skip, boundary=self.boundary))

    def _windows(self, ids, starts, n_rows):
        reach = min(max(self.order - 1, self.places), longest_document(len(ids), starts))
        return windows(ids, starts, n_rows, reach)

    def _transform(self, ids, starts, skip=0):
        if self.n_hashed is None:
            self._check_fitted()
            _check_columns(len(ids), len(self._levels))
            return self._rows(self._ngrams(ids, starts, skip))
        contexts = Contexts(ids, starts, skip, boundary=self.boundary)
        _check_columns(len(ids), self._n_kinds(contexts.longest))
        kinds = [Kind(place, together) for together, all in self._kinds() for place in _up_to(contexts.longest, all)]
        columns = np.sort(hashed_columns(contexts, kinds, self.n_hashed), axis=1)
        filled = columns >= 0
        X = rows_of_ones(columns[filled], np.count_nonzero(filled, axis=1), self.n_hashed)
        X.has_canonical_format = False
        X.sum_duplicates()
        return X

    def _rows(self, ngrams):
        ngrams.advance(self._levels)
        return rows_of_columns(ngrams.columns, len(ngrams), self.n_features_)


def _up_to(longest, places):
    return range(places.start, min(places.stop, longest + 1))


def _check_columns(n_rows, n_kinds):
    """MemoryError unless a column and, in the result, an entry fit for each row and kind."""
    if n_rows * n_kinds < 2**20:  # asking for the memory there is takes as long as these rows
        return
    check_memory("NGramFeatures", 16 * n_rows * n_kinds, f"{n_rows} rows x {n_kinds} kinds of features x 16 bytes")
