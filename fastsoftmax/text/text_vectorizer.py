"""The words of texts as features."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import TransformerMixin

from fastsoftmax.runtime.progress import counted
from fastsoftmax.text import vocabulary
from fastsoftmax.text import words as word_definitions
from fastsoftmax.text.checked import Checked
from fastsoftmax.text.pieces import NumberedAndHashed, Pieces
from fastsoftmax.validation import check_bool, check_int, check_option, check_subword_lengths, check_texts

LATER = {
    "min_chars": 3,
    "max_chars": 0,
    "n_buckets": 0,
}  # parameters that earlier builds do not know, and their defaults


class TextVectorizer(TransformerMixin, Checked, auto_wrap_output_keys=None):
    """Words, word n-grams and subwords of texts as columns, in rows of unit length.

    `fit` numbers the n-grams of its texts: each word gets a column of its own, and so does each longer n-gram, and each
    subword, that at least two texts have. Where these are more than `n_features`, and without `fit`, n-grams are hashed to
    `n_features` columns. With `n_buckets`, `fit` numbers the words alone, and all else is hashed to columns behind theirs.
    It is a transformer of scikit-learn, for pipelines, searches and column transformers.

    Parameters
    ----------
    n_features : int
        Number of columns that n-grams are hashed to, and the most that `fit` numbers. Two n-grams that are hashed to the same
        column cannot be told apart.
    max_words : int
        Length of the longest n-gram; 2 stands for words and two words in a row.
    lowercase : bool
    words : {"unicode", "runs"}
        What a word is. "runs" are the words of models of earlier builds.
    min_chars, max_chars : int
        Subwords are the runs of `min_chars` to `max_chars` characters of a word between "<" and ">": "<bo", "boi", "oil" and
        "il>" are those of "boil" with 3 characters. 0 for `max_chars`: there are none. They tell something of words that are
        new or misspelt, and of languages in which a word has many forms.
    n_buckets : int
        Number of columns that `fit` has n-grams and subwords hashed to, while each word gets a column of its own; 0: it
        numbers these too. Without `fit`, and where words are more than `n_features`, it does not act.

    Attributes
    ----------
    vocabulary_ : list of str, the n-gram of each numbered column, ascending; None where all n-grams are hashed

    Notes
    -----
    A word is a run of letters, digits, underscores and the marks on them, in any language; in scripts that put no blanks
    between words (Chinese characters, Hiragana, Thai ...), each letter with its marks. Any other character that is not blank
    is a word of its own. Texts are normalised to NFC. With "runs", marks are words of their own, Chinese characters
    form runs as letters do, and nothing is normalised; ASCII texts have the same words.

    The hash is that of scikit-learn's `HashingVectorizer` (MurmurHash3), the same on every machine; halves of surrogate pairs,
    which UTF-8 does not have, are hashed as U+FFFD. What is hashed needs no
    `fit`, and later texts can bring new words; numbered words make smaller models, in which no two words share a column.

    `max_words`, `min_chars`, `max_chars` and `n_buckets` are fastText's wordNgrams, minn, maxn and bucket;
    docs/texts_and_columns.md says where its features differ from these. In `vocabulary_`, a subword begins with a blank, which
    tells it from a word.
    """

    def __init__(
        self,
        n_features=2**18,
        max_words=2,
        lowercase=True,
        *,
        words=word_definitions.UNICODE,
        min_chars=LATER["min_chars"],
        max_chars=LATER["max_chars"],
        n_buckets=LATER["n_buckets"],
    ):
        self.n_features = check_int("n_features", n_features, minimum=1, maximum=2**31 - 1)
        self.max_words = check_int("max_words", max_words, minimum=1)
        self.lowercase = check_bool("lowercase", lowercase)
        self.words = check_option("words", words, word_definitions.DEFINITIONS)
        self.min_chars, self.max_chars = check_subword_lengths(min_chars, max_chars)
        self.n_buckets = check_int("n_buckets", n_buckets, minimum=0, maximum=2**31 - 1)
        self._number(None)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags

    def __sklearn_is_fitted__(self):
        return True  # it hashes without `fit`

    @property
    def vocabulary_(self):
        return self._vocabulary

    @property
    def n_columns_(self):
        """The number of columns of what `transform` returns."""
        return self.n_features if self.vocabulary_ is None else len(self.vocabulary_) + self.n_buckets

    def fit(self, texts, y=None, *, show=None):
        """Number the n-grams of a list of str, or hash all n-grams if these are too many. Returns self.

        texts : list, array or column of str
        show : function that is called with the numbers of texts that are done, for a progress bar
        """
        texts = check_texts("texts", texts)
        analyze = self._pieces().words if self.n_buckets else self._counting().build_analyzer()
        self._number(vocabulary.chosen(counted(texts, show), analyze, self.n_features))
        return self

    def transform(self, texts, *, show=None):
        """The rows of a list of str: csr_matrix of float32, shape (n_texts, `n_columns_`).

        texts, show : as for `fit`; a text without a known word is a row of zeros
        """
        texts = check_texts("texts", texts)
        if not texts:
            return csr_matrix((0, self.n_columns_), dtype=np.float32)
        texts = counted(texts, show)
        if self.vocabulary_ is None:
            texts = map(word_definitions.encodable, texts)
        features = self._columns.transform(texts)
        if self.vocabulary_ is not None:
            from sklearn.preprocessing import normalize

            features = normalize(features, norm="l2", copy=False)
        features.sort_indices()
        return features

    def fit_transform(self, texts, y=None):
        """The rows of a list of str, by the columns that `fit` chooses."""
        texts = check_texts("texts", texts)
        return self.fit(texts).transform(texts)

    def get_feature_names_out(self, input_features=None):
        """The names of the columns, an array of `n_columns_` str.

        Numbered columns have their n-grams, and buckets are "bucket 0" and so on. Where all n-grams are hashed, no column has
        one of its own, and names are as of scikit-learn's other transformers: "textvectorizer0" and so on.

        input_features : ignored, as scikit-learn's vectorizers of texts ignore it
        """
        if self.vocabulary_ is None:
            prefix = type(self).__name__.lower()
            names = [f"{prefix}{i}" for i in range(self.n_features)]
        else:
            names = [*self.vocabulary_, *(f"bucket {i}" for i in range(self.n_buckets))]
        return np.array(names, dtype=object)

    def to_dict(self):
        """What `from_dict` needs: the parameters, for JSON, and the vocabulary as an array of bytes if there is one."""
        parameters = {name: getattr(self, name) for name in ("n_features", "max_words", "lowercase", "words")}
        parameters |= {name: getattr(self, name) for name, default in LATER.items() if getattr(self, name) != default}
        if self.vocabulary_ is not None:
            parameters["vocabulary"] = vocabulary.pack(self.vocabulary_)
        return parameters

    @classmethod
    def from_dict(cls, parameters):
        """The inverse of `to_dict`, of earlier builds too; ValueError if `parameters` is anything else."""
        known = cls().to_dict().keys()
        if not isinstance(parameters, dict) or (parameters.keys() | {"words"}) - {"vocabulary", *LATER} != known:
            raise ValueError(f"parameters must be a dict made by TextVectorizer.to_dict, got {parameters!r}")
        given = {name: value for name, value in parameters.items() if name != "vocabulary"}
        vectorizer = cls(**{"words": word_definitions.RUNS} | given)
        if "vocabulary" in parameters:
            vectorizer._number(vocabulary.unpack(parameters["vocabulary"]))
        return vectorizer

    def _number(self, ngrams):
        """Number the n-grams of a list, with `n_buckets` words alone; None: hash all n-grams."""
        self._vocabulary = ngrams
        if ngrams is None:
            self._columns = self._hashing()
        elif self.n_buckets:
            self._columns = NumberedAndHashed(ngrams, self._pieces(), self.n_buckets)
        else:
            self._columns = self._counting(ngrams)

    def _hashing(self):
        from sklearn.feature_extraction.text import HashingVectorizer

        return HashingVectorizer(
            n_features=self.n_features, norm="l2", alternate_sign=False, dtype=np.float32, **self._analysis()
        )

    def _counting(self, ngrams=None):
        from sklearn.feature_extraction.text import CountVectorizer

        counting = CountVectorizer(vocabulary=ngrams, dtype=np.float32, **self._analysis())
        # `fit` makes the dict of columns once for all calls of `transform`, and refuses an n-gram that is there twice
        return counting if ngrams is None else counting.fit([])

    def _analysis(self):
        """What a word is, and which n-grams count, in scikit-learn's parameters."""
        if self.max_chars:
            return {"analyzer": self._pieces(), "lowercase": False}
        return word_definitions.analysis(self.words, self.lowercase) | {"ngram_range": (1, self.max_words)}

    def _pieces(self):
        return Pieces(self.words, self.lowercase, self.max_words, self.min_chars, self.max_chars)
