"""Texts as codes of words: sentences, of which documents consist, and the words that a model knows."""

import os
from array import array
from typing import NamedTuple

import numpy as np

from fastsoftmax.text.lines import open_lines
from fastsoftmax.validation import check_item_of_text, check_token

UNKNOWN, END = 0, 1  # codes that each model has
SPECIAL = ("<unk>", "</s>")  # their words


class Text(NamedTuple):
    """Sentences laid end to end, END after each."""

    ids: np.ndarray  # (n_tokens,) int32
    lines: np.ndarray  # where each sentence begins, int64
    documents: np.ndarray  # where each document begins, int64

    def part(self, first, end):
        """The tokens from one position to another, where sentences begin: a document begins there, too."""
        lines, documents = (a[np.searchsorted(a, first) : np.searchsorted(a, end)] - first for a in self[1:])
        return Text(self.ids[first:end], lines, np.unique(np.append(0, documents)))


def joined(texts):
    """Several texts as one; each begins a document."""
    offsets = np.cumsum([0] + [len(text.ids) for text in texts[:-1]])
    ids = np.concatenate([text.ids for text in texts])
    lines, documents = (
        np.concatenate([getattr(text, name) + offset for text, offset in zip(texts, offsets, strict=True)])
        for name in ("lines", "documents")
    )
    return Text(ids, lines, documents)


class Words:
    """The words that a model knows, by code: `<unk>`, `</s>`, and the others by falling count.

    Parameters
    ----------
    vocabulary : list of str or int
    """

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.codes = {word: code for code, word in enumerate(vocabulary)}

    @classmethod
    def learn(cls, text, words, min_count):
        """The Words that occur so often in a text of other codes, which stand for `words`, and the text in their codes."""
        counts = np.bincount(text.ids, minlength=len(words))
        counts[: len(SPECIAL)] = -1
        kept = np.flatnonzero(counts >= min_count)
        kept = kept[np.argsort(-counts[kept], kind="stable")]
        recode = np.zeros(len(words), dtype=np.int32)
        recode[END] = END
        recode[kept] = np.arange(len(SPECIAL), len(SPECIAL) + len(kept))
        return cls([*SPECIAL, *(words[i] for i in kept)]), text._replace(ids=recode[text.ids])

    def code(self, word):
        return self.codes.get(check_token(word, SPECIAL[END]), UNKNOWN)

    def of_text(self, name, sentences):
        """The Text of sentences; errors speak of `name`."""
        return encode(name, sentences, self.code)

    def of_context(self, name, context):
        """The codes of what stands before a word, from the beginning of a document, int32.

        A str has a sentence a line, of which the last has not ended.
        """
        if not isinstance(context, str):
            return np.fromiter(map(self.code, context), np.int32, len(context))
        ids, code_of = [], self.codes.get
        for line in context.split("\n"):
            words = line.split()
            if SPECIAL[END] in words:
                self.code(SPECIAL[END])  # raises
            ids.extend([code_of(word, UNKNOWN) for word in words])  # all are str
            ids.append(END)
        return np.array(ids[:-1], dtype=np.int32)


class _NewCodes(dict):
    """Codes of words in the order in which they are first asked for."""

    def __init__(self):
        super().__init__({SPECIAL[UNKNOWN]: UNKNOWN})

    def __missing__(self, word):
        word = check_token(word, SPECIAL[END])
        self[word] = code = max(len(self) + 1, len(SPECIAL))
        return code


def read_new(name, sentences):
    """The Text of sentences in codes of the words in the order of their first occurrence, and these words."""
    codes = _NewCodes()
    text = encode(name, sentences, codes.__getitem__)
    return text, [SPECIAL[UNKNOWN], SPECIAL[END], *list(codes)[1:]]


def encode(name, sentences, code_of):
    """The Text of sentences.

    Parameters
    ----------
    name : how errors speak of the sentences
    sentences : path, binary file or iterable of sentences and documents, as LanguageModel.fit tells
    code_of : function from a word to its code
    """
    out = _Encoded(code_of)
    if isinstance(sentences, (str, bytes)) or _is_file(sentences):
        out.add_file(sentences)
        return out.text()
    is_running = False  # whether the sentence goes on with the document of the one before
    for number, item in enumerate(sentences):
        check_item_of_text(name, item, number)
        is_sentence = not (_is_file(item) or _is_document(item))
        if not (is_sentence and is_running):
            out.begin_document()
        is_running = is_sentence
        if _is_file(item):
            out.add_file(item)
        elif is_sentence:
            out.add(item.split() if isinstance(item, str) else item)
        else:
            for line in item.removesuffix("\n").split("\n") if isinstance(item, str) else item:  # as files have lines
                out.add(line.split() if isinstance(line, str) else line)
    return out.text()


def _is_file(source):
    return isinstance(source, os.PathLike) or hasattr(source, "readinto")


def _is_document(item):
    """Whether an item of a text holds sentences, and not words."""
    if isinstance(item, str):
        return "\n" in item.removesuffix("\n")  # the lines of a file opened as text have their line ends
    return len(item) > 0 and isinstance(item[0], (list, tuple, np.ndarray))


class _Encoded:
    """A Text that grows."""

    def __init__(self, code_of):
        self._code_of = code_of
        self._ids, self._lines, self._documents = array("i"), array("q"), array("q", [0])

    def begin_document(self):
        self._documents.append(len(self._ids))

    def add(self, words):
        """Add a sentence."""
        self._lines.append(len(self._ids))
        self._ids.extend(map(self._code_of, words))
        self._ids.append(END)

    def add_file(self, source):
        """Add a file, a sentence a line."""
        with open_lines(source) as (_, lines):
            for line in lines:
                self.add(line.decode("utf-8", "surrogateescape").split())

    def text(self):
        ids = np.array(self._ids, dtype=np.int32)
        return Text(ids, np.array(self._lines, dtype=np.int64), np.unique(np.array(self._documents, dtype=np.int64)))
