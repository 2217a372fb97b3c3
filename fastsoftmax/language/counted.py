"""The counted expert: interpolated modified Kneser-Ney n-grams within sentences, as a sparse softmax."""

import numpy as np

from fastsoftmax.functional import softmax
from fastsoftmax.linear import linear_cross_entropy
from fastsoftmax.text.ngram_features import NGramFeatures

BLOCK = 1 << 16  # rows whose features are made at a time
MOST_KNOWN = np.iinfo(np.int8).max  # words of a context that are counted


class Counted:
    """It gives each word its Kneser-Ney probability.

    Parameters
    ----------
    features : NGramFeatures, fitted
    W : csc_array of float32, (n_classes, n_columns)
    bias : (n_classes,) float32
    """

    def __init__(self, features, W, bias):
        self.features, self.W, self.bias = features, W, bias
        self.unigrams = softmax(bias.astype(np.float64))

    @classmethod
    def fit(cls, text, n_classes, order):
        features = NGramFeatures(order).fit(text.ids, text.lines)
        return cls(features, *features.kneser_ney(text.ids, text.lines, n_classes))

    def log_proba(self, text, n_threads):
        """The log-probability of each token, (n_tokens,), and how many words of its context are known together."""
        log_proba, n_known = np.empty(len(text.ids)), np.empty(len(text.ids), dtype=np.int8)
        for rows, X in self.features.blocks(text.ids, text.lines, BLOCK):
            given = {"reduction": "none", "n_threads": n_threads}
            log_proba[rows] = -linear_cross_entropy(X, self.W, text.ids[rows].astype(np.int64), self.bias, **given)
            n_known[rows] = np.minimum(np.diff(X.indptr), MOST_KNOWN)
        return log_proba, n_known

    def logits_after(self, ids):
        """The logits after the words of an unfinished sentence, (n_classes,), and how many are known together."""
        columns = self.features.columns_after(ids)
        logits, W = self.bias.copy(), self.W
        for column in columns:
            own = slice(W.indptr[column], W.indptr[column + 1])
            logits[W.indices[own]] += W.data[own]
        return logits, len(columns)
