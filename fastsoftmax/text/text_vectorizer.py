"""The words of a text as features."""

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax.text import words as word_definitions
from fastsoftmax.validation import check_bool, check_int, check_option, check_texts


class TextVectorizer:
    """Words and word n-grams of texts, hashed to columns, in rows of unit length.

    It needs no fit: what a text becomes depends on the parameters alone, and they are what a model file holds.

    Parameters
    ----------
    n_features : int
        Number of columns. Two n-grams that share a column cannot be told apart.
    max_words : int
        Length of the longest n-gram; 2 stands for words and two words in a row.
    lowercase : bool
    words : {"unicode", "runs"}
        What a word is. "runs" are the words of models of earlier builds.

    Notes
    -----
    A word is a run of letters, digits, underscores and the marks on them, in any language; in scripts that put no blanks
    between words (Chinese characters, Hiragana, Thai ...), each letter with its marks. Any other character that is not blank
    is a word of its own. Texts are normalised to NFC. With "runs", marks are words of their own, Chinese characters
    form runs as letters do, and nothing is normalised; ASCII texts have the same words.

    The hash is that of scikit-learn's `HashingVectorizer` (MurmurHash3), the same on every machine.
    """

    def __init__(self, n_features=2**18, max_words=2, lowercase=True, *, words=word_definitions.UNICODE):
        self.n_features = check_int("n_features", n_features, minimum=1, maximum=2**31 - 1)
        self.max_words = check_int("max_words", max_words, minimum=1)
        self.lowercase = check_bool("lowercase", lowercase)
        self.words = check_option("words", words, word_definitions.DEFINITIONS)

    def transform(self, texts):
        """The rows of a list of str: csr_matrix of float32, shape (n_texts, n_features)."""
        texts = check_texts("texts", texts)
        if not texts:
            return csr_matrix((0, self.n_features), dtype=np.float32)
        from sklearn.feature_extraction.text import HashingVectorizer

        hashing = HashingVectorizer(
            n_features=self.n_features,
            ngram_range=(1, self.max_words),
            **word_definitions.analysis(self.words, self.lowercase),
            norm="l2",
            alternate_sign=False,
            dtype=np.float32,
        )
        features = hashing.transform(texts)
        features.sort_indices()
        return features

    def to_dict(self):
        """The parameters, for JSON."""
        return {
            "n_features": self.n_features,
            "max_words": self.max_words,
            "lowercase": self.lowercase,
            "words": self.words,
        }

    @classmethod
    def from_dict(cls, parameters):
        """The inverse of `to_dict`, of earlier builds too; ValueError if `parameters` is anything else."""
        known = cls().to_dict().keys()
        if not isinstance(parameters, dict) or parameters.keys() | {"words"} != known:
            raise ValueError(f"parameters must be a dict made by TextVectorizer.to_dict, got {parameters!r}")
        return cls(**{"words": word_definitions.RUNS} | parameters)
