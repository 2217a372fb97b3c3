"""The public module `fastsoftmax.features`: tokens, n-grams and words as CSR rows."""

from fastsoftmax.text.context_features import context_features
from fastsoftmax.text.ngram_features import NGramFeatures
from fastsoftmax.text.text_vectorizer import TextVectorizer

__all__ = ["NGramFeatures", "TextVectorizer", "context_features"]


def __dir__():
    return sorted(__all__)  # what tab completion shows
