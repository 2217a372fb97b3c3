"""Back-off n-gram models: sentences and their words, pruning, discounts."""

import numpy as np

from fastsoftmax.validation.arrays import as_real_array
from fastsoftmax.validation.scalars import check_int


class NotAWordError(ValueError):
    """A word that no sentence can have; what reads sentences says where it is."""


def check_word(word, reserved):
    """Raise NotAWordError unless `word`, bytes, is neither empty nor one of the reserved, and has no blank."""
    if word in reserved:
        raise NotAWordError(f"the word {word.decode()} is the model's own and cannot be in a text")
    if word.replace(b"\0", b" ").split() != [word]:
        raise NotAWordError(
            f"{word.decode('utf-8', 'backslashreplace')!r} is no word: words are not empty and have no blanks"
        )


def check_sentences(name, sentences):
    """An iterator over `sentences`."""
    try:
        return iter(sentences)
    except TypeError:
        raise TypeError(
            f"{name} must be a path, a binary file or an iterable of sentences, got {sentences!r}"
        ) from None


def check_sentence(name, sentence):
    """`sentence`, which is a sequence of str."""
    if isinstance(sentence, (list, tuple, np.ndarray)):
        for word in sentence:
            if not isinstance(word, str):
                raise TypeError(f"{name} must hold words that are str, got {word!r}")
        return sentence
    raise TypeError(f"{name} must be str or list of words, got {sentence!r}")


def check_contexts(name, contexts):
    """`contexts` as a list; a lone str would be taken for a list of letters."""
    if isinstance(contexts, (str, bytes)):
        raise TypeError(f"{name} must be a list of contexts, got one text: {contexts[:60]!r}")
    try:
        return list(contexts)
    except TypeError:
        raise TypeError(f"{name} must be a list of contexts, got {contexts!r}") from None


def check_prune(prune, order):
    """The threshold of each length as a tuple of int, `order` of them; the last one given holds for all longer n-grams."""
    given = [prune] if isinstance(prune, (int, np.integer)) else prune
    try:
        thresholds = [check_int("prune", value, minimum=0) for value in given]
    except TypeError:
        raise TypeError(f"prune must be integers, got {prune!r}") from None
    if not 1 <= len(thresholds) <= order:
        raise ValueError(f"prune must have from 1 to order ({order}) thresholds, got {thresholds}")
    if isinstance(prune, (int, np.integer)):
        thresholds = [0, *thresholds][:order]
    if thresholds[0]:
        raise ValueError(f"prune must begin with 0, since no word can be left out, got {thresholds}")
    if sorted(thresholds) != thresholds:
        raise ValueError(f"prune must not descend: an n-gram has parts that are as frequent, got {thresholds}")
    return tuple(thresholds + thresholds[-1:] * (order - len(thresholds)))


def check_discount_fallback(discounts):
    """Discounts of n-grams counted once, twice, and more often, as float64 (3,), or None."""
    if discounts is None:
        return None
    discounts = as_real_array("discount_fallback", discounts).astype(np.float64)
    if discounts.shape != (3,):
        raise ValueError(f"discount_fallback must be of shape (3,), got {discounts.shape}")
    if not np.all((discounts > 0) & (discounts <= [1, 2, 3])):
        raise ValueError(f"discount_fallback must be above 0 and at most 1, 2, 3, got {discounts.tolist()}")
    return discounts


def check_has_discounts(length, discounts, fallback):
    """Raise where the discounts of n-grams of some length could not be estimated (None) and there are no others."""
    if discounts is None and fallback is None:
        raise ValueError(
            f"discount_fallback must be given for this text: it has too few n-grams of {length} words, or is too regular, to "
            "estimate their discounts from how many come once, twice, three and four times (0.5, 1, 1.5 are usual)"
        )


def check_has_sentences(ids, *, ends_count=False):
    """Raise where a text has no word; `ids` are its words, whose codes are above 2, and two ends for each sentence.

    ends_count : whether a sentence without words will do
    """
    if not len(ids) or (not ends_count and ids.max() <= 2):
        raise ValueError("sentences must have at least one word, got an empty text")


def check_n_tokens(n_tokens):
    """Raise where a text has more words than their positions can be counted in."""
    if n_tokens >= 2**31:
        raise ValueError(f"sentences must have fewer than 2**31 words and ends, got {n_tokens}")
