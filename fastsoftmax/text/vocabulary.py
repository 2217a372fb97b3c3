"""The vocabulary of a TextVectorizer: which n-grams of texts get a column, and how files hold them."""

import numpy as np

SEPARATOR = "\n"  # between n-grams in a file: no word has one


def chosen(texts, analyze, most):
    """The n-grams that get a column each, ascending: words, and longer n-grams that at least two texts have.

    Longer n-grams of one text alone are two thirds of all and tell nothing of other texts.

    Parameters
    ----------
    texts : iterable of str
    analyze : function from a text to its n-grams, whose words are joined by blanks
    most : int

    Returns
    -------
    list of str, or None where they are more than `most`, or where there are none
    """
    seen, kept = set(), set()
    for text in texts:
        ngrams = set(analyze(text))
        kept.update(ngram for ngram in ngrams if ngram in seen or " " not in ngram)
        if len(kept) > most:
            return None
        seen |= ngrams
    return sorted(kept) or None


def pack(ngrams):
    """N-grams as an array of bytes."""
    return np.frombuffer(SEPARATOR.join(ngrams).encode("utf-8", "surrogatepass"), np.uint8)


def unpack(packed):
    """The n-grams that `pack` turned into an array; ValueError where this is no such array."""
    if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8:
        raise ValueError(f"a vocabulary must be an array of bytes, got {packed!r}")
    return packed.tobytes().decode("utf-8", "surrogatepass").split(SEPARATOR)
