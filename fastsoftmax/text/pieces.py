"""What a text counts as beside its words: n-grams of words, and subwords, which are n-grams of the characters of words."""

import functools
import itertools
import re
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack

from fastsoftmax.text import words as word_definitions

BLOCK = 1024  # texts whose pieces are in memory at a time
KEPT = 1 << 14  # words whose subwords are kept: most words of a text are among the frequent ones


@dataclass(frozen=True)
class Pieces:
    """A function from a text to its pieces: words, n-grams of words joined by blanks, and subwords, each after a blank.

    So none of these kinds can be taken for another: a word has no blank, and an n-gram does not begin with one.

    Attributes
    ----------
    definition : {"unicode", "runs"}, what a word is
    lowercase : bool
    max_words : int, length of the longest n-gram of words
    min_chars, max_chars : int, lengths of subwords; 0 for `max_chars`: there are none
    """

    definition: str
    lowercase: bool
    max_words: int
    min_chars: int
    max_chars: int

    def __call__(self, text):
        words = self.words(text)
        return words + self.others(words)

    def words(self, text):
        """The words of a text, in their order."""
        analysis = _analysis(self.definition, self.lowercase)
        return analysis.split(analysis.prepare(text))

    def others(self, words):
        """The longer n-grams of these words, and their subwords."""
        n, longest = len(words), min(self.max_words, len(words))
        ngrams = [" ".join(words[i : i + size]) for size in range(2, longest + 1) for i in range(n - size + 1)]
        if self.max_chars:
            ngrams.extend(itertools.chain.from_iterable(subwords(w, self.min_chars, self.max_chars) for w in words))
        return ngrams


@dataclass(frozen=True)
class _Analysis:
    prepare: object
    split: object


@functools.cache
def _analysis(definition, lowercase):
    given = word_definitions.analysis(definition, lowercase)
    return _Analysis(given["preprocessor"], re.compile(given["token_pattern"]).findall)


@functools.lru_cache(KEPT)
def subwords(word, shortest, longest):
    """The runs of `shortest` to `longest` characters of a word between "<" and ">", but these marks alone; a tuple of str.

    These are those of fastText (Bojanowski et al. 2017, doi:10.1162/tacl_a_00051). Each has a blank before it.
    """
    marked = f"<{word}>"
    n = len(marked)
    return tuple(
        " " + marked[i : i + size]
        for size in range(shortest, min(longest, n) + 1)
        for i in range(n - size + 1)
        if size > 1 or 0 < i < n - 1
    )


class NumberedAndHashed:
    """The columns of words, one for each, and behind these the buckets that all other pieces are hashed to.

    Parameters
    ----------
    words : list of str
    pieces : Pieces
    n_buckets : int
    """

    def __init__(self, words, pieces, n_buckets):
        from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

        self._pieces = pieces
        options = {"analyzer": _as_given, "lowercase": False, "dtype": np.float32}  # of texts that are split already
        self._words = CountVectorizer(vocabulary=words, **options).fit([])  # refuses a word that is there twice
        self._others = HashingVectorizer(n_features=n_buckets, norm=None, alternate_sign=False, **options)

    def transform(self, texts):
        """The counts of an iterable of str: csr_matrix of float32."""
        texts, rows = iter(texts), []
        while block := [self._pieces.words(text) for text in itertools.islice(texts, BLOCK)]:
            others = ([word_definitions.encodable(piece) for piece in self._pieces.others(words)] for words in block)
            rows.append(hstack([self._words.transform(block), self._others.transform(others)], format="csr"))
        return csr_matrix(vstack(rows, format="csr"))


def _as_given(pieces):
    return pieces
