"""Sentences as codes of words: texts in files and lists, words that are learned or looked up."""

import os
from array import array

import numpy as np

from fastsoftmax.text.lines import line_error, open_lines
from fastsoftmax.validation import NotAWordError, check_sentence, check_sentences, check_word

UNKNOWN, BEGIN, END = range(3)  # the codes of words that each model has
SPECIAL = (b"<unk>", b"<s>", b"</s>")  # these words


class LearnedCodes(dict):
    """Codes of words, from 3 on in the order in which they are first asked for."""

    def __missing__(self, word):
        check_word(word, SPECIAL)
        code = self[word] = len(self) + len(SPECIAL)
        return code


class KnownCodes(dict):
    """Codes of the words of a model; any other is unknown. A sentence cannot have the words that stand for its ends."""

    def __init__(self, words):
        super().__init__((word, code) for code, word in enumerate(words) if code not in (BEGIN, END))

    def __missing__(self, word):
        check_word(word, SPECIAL[BEGIN:])
        return UNKNOWN


def encode(sentences, codes):
    """The codes of all words, sentence after sentence, each between BEGIN and END.

    Parameters
    ----------
    sentences : a path or a binary file, which has a sentence a line, or an iterable of these and of sentences
        A sentence is a str, whose words are separated by blanks of ASCII, or a sequence of words. A lone str is a path.
        An empty line is a sentence without words.
    codes : LearnedCodes or KnownCodes

    Returns
    -------
    ndarray of int32
    """
    out = array("i")
    if isinstance(sentences, (str, bytes)) or _is_file(sentences):
        _add_file(out, sentences, codes)
        return np.frombuffer(out, dtype=np.int32)
    for number, sentence in enumerate(check_sentences("sentences", sentences)):
        if _is_file(sentence):
            _add_file(out, sentence, codes)
            continue
        try:
            out.append(BEGIN)
            out.extend(map(codes.__getitem__, words_of(sentence, "sentences")))
        except NotAWordError as error:
            raise ValueError(f"sentences: {error} in sentence {number}") from None
        out.append(END)
    return np.frombuffer(out, dtype=np.int32)


def encode_sentence(sentence, codes):
    """The codes of the words of one sentence, between BEGIN and END."""
    try:
        return np.array([BEGIN, *map(codes.__getitem__, words_of(sentence, "sentence")), END], dtype=np.int32)
    except NotAWordError as error:
        raise ValueError(f"sentence: {error}") from None


def _is_file(source):
    return isinstance(source, os.PathLike) or hasattr(source, "readinto")


def words_of(sentence, name):
    """The words of one sentence, as bytes; errors speak of `name`."""
    if isinstance(sentence, str):
        return _split(sentence.encode("utf-8", "surrogateescape"))
    check_sentence(name, sentence)
    return [word.encode("utf-8", "surrogateescape") for word in sentence]


def _split(text):
    """The words of a text of bytes: blanks of ASCII and null bytes separate, as in other data files."""
    return text.replace(b"\0", b" ").split()


def _add_file(out, source, codes):
    code_of = codes.__getitem__
    with open_lines(source) as (name, lines):
        for number, line in enumerate(lines, start=1):
            out.append(BEGIN)
            try:
                out.extend(map(code_of, _split(line)))
            except NotAWordError as error:
                raise line_error(name, number, str(error)) from None
            out.append(END)


def ends_of_context(contexts, codes, length, bos):
    """The last words of each context, at most `length`, one context after the other.

    Returns
    -------
    ids : ndarray of int32
        Where the whole context is shorter and `bos`, BEGIN comes first.
    starts : ndarray of int64, shape (n_contexts + 1,)
    """
    out, starts = array("i"), [0]
    for number, context in enumerate(contexts):
        words = words_of(context, "contexts")
        if bos and len(words) < length:
            out.append(BEGIN)
        try:
            out.extend(map(codes.__getitem__, words[-length:] if length else ()))
        except NotAWordError as error:
            raise ValueError(f"contexts: {error} in context {number}") from None
        starts.append(len(out))
    return np.frombuffer(out, dtype=np.int32), np.array(starts, dtype=np.int64)


def decode(words):
    """Words of bytes as str; what is no UTF-8 becomes halves of surrogate pairs, as in Python's names of files."""
    return [word.decode("utf-8", "surrogateescape") for word in words]
