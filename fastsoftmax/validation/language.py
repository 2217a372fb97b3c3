"""Language models: words, sentences and documents, and how words are drawn."""

import os

import numpy as np

from fastsoftmax.validation.scalars import check_int, check_real


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
