"""Language models: words, sentences and documents, and how words are drawn."""

import os

import numpy as np

from fastsoftmax.validation.scalars import check_bool, check_int, check_real

MOST_PLACES = 1000  # that a stored model looks back; rows take memory for each of them


def check_token(word, end):
    """`word`, which is a str or an int and not what ends sentences."""
    if isinstance(word, np.integer):
        return int(word)
    if not isinstance(word, (str, int)):
        raise TypeError(f"words must be str or int, got {word!r}")
    if word == end:
        raise ValueError(f"the word {end} is the model's own, for the ends of sentences, and cannot be in a text")
    return word


def check_text(name, sentences):
    """Raise unless `sentences` is what can hold sentences, and no text instead of a path."""
    if isinstance(sentences, str) and ("\n" in sentences or not os.path.exists(sentences)):
        raise ValueError(
            f"{name}: a lone str is the path of a file, and there is no file {sentences[:60]!r}: put texts into a list"
        )
    if not (isinstance(sentences, (str, bytes, os.PathLike)) or hasattr(sentences, "readinto")):
        try:
            iter(sentences)
        except TypeError:
            raise TypeError(
                f"{name} must be a path, a binary file or an iterable of sentences, got {sentences!r}"
            ) from None


def check_item_of_text(name, item, number):
    """Raise unless `item` is a sentence, a document or a file."""
    if not (isinstance(item, (str, list, tuple, np.ndarray, os.PathLike)) or hasattr(item, "readinto")):
        raise TypeError(f"{name} must hold str or lists of words, got {item!r} at position {number}")


def check_some_sentences(name, text, fewest):
    """Raise unless a Text has so many sentences, and a word."""
    if len(text.lines) < fewest or len(text.ids) == len(text.lines):
        raise ValueError(
            f"{name} must have at least {fewest} sentence{'s' * (fewest > 1)} and a word, got {len(text.lines)} "
            f"sentences with {len(text.ids) - len(text.lines)} words"
        )


def check_context(name, context):
    """Raise unless `context` is a str or a list of words."""
    if not isinstance(context, (str, list, tuple, np.ndarray)):
        raise TypeError(f"{name} must be a str or a list of words, got {context!r}")


def check_drawing(temperature, top_k, top_p):
    """The options of a draw, checked."""
    temperature = check_real("temperature", temperature, minimum=0)
    top_k = None if top_k is None else check_int("top_k", top_k, minimum=1)
    top_p = None if top_p is None else check_real("top_p", top_p, above=0, maximum=1)
    return temperature, top_k, top_p


def check_ngram_tables(tables, order, n_classes):
    """Raise unless these can be the tables of the n-grams, up to `order` words, of a stored model with so many words.

    The first has words and the beginning of a document, -1; the key of a longer n-gram is the place of the n-gram without
    its oldest word in the table before, times the number of words, plus the place of that word. All keys ascend: they are
    searched for.
    """
    if len(tables) > order - 1:
        raise ValueError(f"n-grams of {order} words have at most {order - 1} tables, got {len(tables)}")
    for i, table in enumerate(tables):
        if table.dtype != np.int64 or table.ndim != 1:
            raise ValueError(
                f"table {i} of the n-grams must hold int64 in one dimension, got {table.dtype}, {table.shape}"
            )
        lowest, bound = (0, len(tables[i - 1]) * len(tables[0])) if i else (-1, n_classes)
        if len(table) and not lowest <= table[0] <= table[-1] < bound:
            raise ValueError(
                f"table {i} of the n-grams must have keys from {lowest} to {bound - 1}, got {table[[0, -1]]}"
            )
        if not (table[1:] > table[:-1]).all():
            raise ValueError(f"table {i} of the n-grams must have keys that ascend")


def check_history(history, n_classes):
    """`history`, what the low-rank expert of a stored model with so many words sees, if it may be that."""
    check_int("history.n_classes", history.n_classes, minimum=n_classes, maximum=n_classes)
    check_int("history.n_places", history.n_places, minimum=0, maximum=MOST_PLACES)
    check_int("history.window", history.window, minimum=0, maximum=MOST_PLACES)
    if not history.n_places + history.window:
        raise ValueError("the history has neither places nor a window")
    check_real("history.decay", history.decay, above=0, maximum=1)
    check_bool("history.across", history.across)
    return history


def check_stored(name, a, shape, *, double=False):
    """The tensor `a` of a stored model, which has this shape (-1: any length) and finite float32 (or float64) numbers."""
    dtype = np.dtype(np.float64 if double else np.float32)
    if a.dtype != dtype or a.ndim != len(shape) or any(n not in (-1, m) for n, m in zip(shape, a.shape, strict=True)):
        raise ValueError(f"{name} must have {dtype} numbers and shape {shape}, got {a.dtype} and {a.shape}")
    with np.errstate(over="ignore"):  # the others are used as float32, too
        if not np.isfinite(a.astype(np.float32, copy=False)).all():
            raise ValueError(f"{name} must have finite numbers")
    return a


def check_mixture_weights(name, weights, shape):
    """The `weights` of the experts of a stored model, (n_buckets, n_experts): shares, which add up to 1 in each row."""
    check_stored(name, weights, shape, double=True)
    if weights.min() < 0 or np.abs(weights.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError(f"{name} must not be negative, and rows must add up to 1")
    return weights


def check_vocabulary(vocabulary, special):
    """Raise unless it is a list of the `special` words and of others, str or int, which are all different."""
    if not isinstance(vocabulary, list) or tuple(vocabulary[: len(special)]) != special:
        raise ValueError(f"the vocabulary does not begin with {special}")
    for word in vocabulary[len(special) :]:
        check_token(word, special[-1])
    if len(set(vocabulary)) != len(vocabulary):
        raise ValueError("the vocabulary has a word twice")
