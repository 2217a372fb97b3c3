"""Features as CSR: the tokens before a token, and the words of a text."""

import numpy as np
from scipy.sparse import csr_matrix

from fastsoftmax._validation import check_int


def positions_in_file(n_tokens, starts):
    """Number of tokens before each token in its own file, int32; `starts` is where each file begins."""
    starts = np.asarray(starts, dtype=np.int32)
    return np.arange(n_tokens, dtype=np.int32) - np.repeat(starts, np.diff(starts, append=np.int32(n_tokens)))


def context_features(ids, starts, n_classes, context=6):
    """The tokens before each token, one-hot by place.

    Parameters
    ----------
    ids : ndarray of int32, shape (n_tokens,)
        Tokens of all files, one file after the other.
    starts : array_like of int, shape (n_files,)
        Where each file begins: a context never crosses into the file before; the first rows of a file have fewer
        features.
    n_classes : int
    context : int
        Number of places.

    Returns
    -------
    csr_matrix of float32, shape (n_tokens, context * n_classes)
        Entry (i, (p - 1) * n_classes + c) is 1 if token i - p is c. Indices are sorted. Row i describes what comes
        before token i, so `ids` itself is the array of labels.
    """
    context = check_int("context", context, minimum=1)
    n_tokens, n_features = len(ids), context * n_classes
    index_dtype = np.int32 if max(n_features, n_tokens * context) <= np.iinfo(np.int32).max else np.int64
    columns = np.zeros((n_tokens, context), dtype=index_dtype)
    for place in range(1, context + 1):
        np.add(ids[:-place], (place - 1) * n_classes, out=columns[place:, place - 1], dtype=index_dtype)
    places_filled = np.minimum(positions_in_file(n_tokens, starts), context)
    indptr = np.zeros(n_tokens + 1, dtype=index_dtype)
    np.cumsum(places_filled, out=indptr[1:])
    indices = columns[np.arange(context, dtype=np.int32) < places_filled[:, None]]
    del columns
    features = csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=(n_tokens, n_features))
    features.has_canonical_format = True
    return features


class TextVectorizer:
    """Words and word n-grams of texts, hashed to columns, each row of unit length.

    Needs no fit: what a text becomes depends on the three parameters alone, and they are what is saved with a model.

    Parameters
    ----------
    n_features : int
        Number of columns. Two n-grams that share one are not told apart.
    max_words : int
        Length of the longest n-gram: 2 for words and pairs of words.
    lowercase : bool

    Notes
    -----
    A word is a run of letters, digits and underscores; any other character that is not blank is a word by itself.
    Hashing is scikit-learn's `HashingVectorizer` (MurmurHash3), the same on every machine.
    """

    def __init__(self, n_features=2**18, max_words=2, lowercase=True):
        self.n_features = check_int("n_features", n_features, minimum=1, maximum=2**31 - 1)
        self.max_words = check_int("max_words", max_words, minimum=1)
        if not isinstance(lowercase, bool):
            raise TypeError(f"lowercase must be True or False, got {lowercase!r}")
        self.lowercase = lowercase

    def transform(self, texts):
        """CSR matrix of float32, shape (n_texts, n_features), of a list of str."""
        from sklearn.feature_extraction.text import HashingVectorizer

        hashing = HashingVectorizer(
            n_features=self.n_features,
            ngram_range=(1, self.max_words),
            lowercase=self.lowercase,
            token_pattern=r"\w+|[^\w\s]",
            norm="l2",
            alternate_sign=False,
            dtype=np.float32,
        )
        features = hashing.transform(texts)
        features.sort_indices()
        return features

    def to_dict(self):
        """The parameters, for JSON."""
        return {"n_features": self.n_features, "max_words": self.max_words, "lowercase": self.lowercase}

    @classmethod
    def from_dict(cls, parameters):
        """The inverse of `to_dict`; a ValueError if `parameters` is anything else."""
        if not isinstance(parameters, dict) or parameters.keys() != cls().to_dict().keys():
            raise ValueError(f"parameters must be a dict made by TextVectorizer.to_dict, got {parameters!r}")
        return cls(**parameters)
