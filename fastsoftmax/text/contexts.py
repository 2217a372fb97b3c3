"""The tokens before each token of documents laid end to end, and the n-grams that they form."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.text.keys import find

BOUNDARY = -1  # the token before the first token of a document
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, rounded to an odd number


class Kind(NamedTuple):
    """A kind of feature: the last `place` tokens together, or only the token that lies `place` back."""

    place: int
    together: bool


def positions_in_file(n_tokens, starts):
    """How many tokens of its own file come before each token, int32; `starts` is where each file begins."""
    starts = np.asarray(starts, dtype=np.int32)
    return np.arange(n_tokens, dtype=np.int32) - np.repeat(starts, np.diff(starts, append=np.int32(n_tokens)))


def longest_document(n_tokens, starts):
    """The number of tokens of the longest document."""
    return int(np.diff(starts, append=n_tokens).max(initial=0))


def windows(ids, starts, n_rows, n_before):
    """Blocks of rows with the tokens that they see: (slice of rows, ids, starts, skip), ready for `Contexts`."""
    for first in range(0, len(ids), n_rows):
        end, begin = min(first + n_rows, len(ids)), max(first - n_before, 0)
        inside = starts[np.searchsorted(starts, begin, side="right") : np.searchsorted(starts, end)]
        yield slice(first, end), ids[begin:end], np.append(0, inside - begin), first - begin


class Contexts:
    """The tokens before each row, where the rows are all tokens but the first `skip`.

    `n_places` is how many tokens each row has before it: those of its document and, with `boundary`, one boundary before
    them.
    """

    def __init__(self, ids, starts, skip=0, *, boundary):
        n_places = positions_in_file(len(ids), starts)
        if boundary:
            n_places += 1
            self.tokens = np.insert(ids, starts, BOUNDARY)
            at = np.flatnonzero(self.tokens != BOUNDARY)
        else:
            self.tokens, at = ids, np.arange(len(ids))
        self.n_places, self._at = n_places[skip:], at[skip:]

    def __len__(self):
        return len(self._at)

    @property
    def longest(self):
        """The most tokens that a row has before it."""
        return int(self.n_places.max(initial=0))

    def tokens_back(self, place, rows):
        return self.tokens[self._at[rows] - place]


class Level(NamedTuple):
    """The features of one kind."""

    kind: Kind
    table: np.ndarray  # their keys, sorted, int64


class InternedNGrams:
    """Keys of the features of each row, kind after kind: those of a kind once the levels before it are known.

    The keys of the first kind, the last token alone, are the tokens. Its table, sorted, is the vocabulary; other tokens
    occur in no feature that is kept, since no n-gram is more frequent than its tokens. From then on a token is its code,
    its place in the vocabulary, and the key of an n-gram is
    (place of the n-gram without its oldest token in the table of its kind) * n_codes + code of the oldest token.
    Both are below the number of tokens ever counted, so that a key can only overflow beyond 3e9 distinct n-grams.
    """

    def __init__(self, contexts):
        self._contexts = contexts
        self.longest = contexts.longest
        self.columns = []  # for each level, the column of each row, int64; -1 where a row has no feature of the kind
        self._offset = 0
        self._rows_and_keys = None

    def __len__(self):
        return len(self._contexts)

    def keys(self, kind):
        """The keys of the kind that comes after the levels so far, one for each row that has such a feature."""
        if self._rows_and_keys is None:
            self._rows_and_keys = self._of_kind(kind)
        return self._rows_and_keys[1]

    def advance(self, levels):
        """Fill in the columns of the levels that have become known."""
        for kind, table in levels[len(self.columns) :]:
            self.keys(kind)
            rows, keys = self._rows_and_keys
            place, known = find(table, keys)
            column = np.full(len(self), -1, dtype=np.int64)
            column[rows[known]] = self._offset + place[known]
            if not self.columns:
                self._encode(table)
            self.columns.append(column)
            self._previous_offset, self._offset = self._offset, self._offset + len(table)
            self._rows_and_keys = None

    def _encode(self, vocabulary):
        code, known = find(vocabulary, self._contexts.tokens)
        self._contexts.tokens = np.where(known, code, -1)
        self._n_codes = len(vocabulary)

    def _of_kind(self, kind):
        """The rows that have a feature of this kind, and its keys."""
        has = self._contexts.n_places >= kind.place
        if self.columns and kind.together:
            has &= self.columns[-1] >= 0
        rows = np.flatnonzero(has)
        keys = self._contexts.tokens_back(kind.place, rows)
        if self.columns:
            rows, keys = rows[keys >= 0], keys[keys >= 0]
            if kind.together:
                keys += (self.columns[-1][rows] - self._previous_offset) * self._n_codes
        return rows, keys


def hashed_columns(contexts, kinds, n_hashed):
    """The column of each row's feature of each kind, (n_rows, n_kinds) of int64; -1 where there is none."""
    columns = np.full((len(contexts), len(kinds)), -1, dtype=np.int64)
    states = np.empty(len(contexts), dtype=np.uint64)  # of the hash, for the conjunction so far
    for i, kind in enumerate(kinds):
        rows = np.flatnonzero(contexts.n_places >= kind.place)
        tokens = contexts.tokens_back(kind.place, rows).astype(np.int64).view(np.uint64)
        shorter = states[rows] if kind.together and kind.place > 1 else np.full(len(rows), kind.place, dtype=np.uint64)
        state = _mix(shorter * GOLDEN + tokens)
        if kind.together:
            states[rows] = state
        columns[rows, i] = state % np.uint64(n_hashed)
    return columns


def _mix(x):
    """The finaliser of splitmix64: each bit of x affects every bit of the result."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
