"""What a word is in a text of any language: the one definition for all that splits texts.

It follows the word boundaries of Unicode (UAX #29) where they need no dictionary:

- A mark (an accent, a vowel sign, a virama) and a format character (a joiner, a soft hyphen) belong to what they follow.
- In scripts that put no blanks between words (Chinese characters, Hiragana, Thai, Lao, Khmer, Burmese ...) each letter, with
  its marks, is a word by itself; in all others a word is a run of letters, digits, underscores and marks.
- Any other character that is not blank is a word by itself.

Texts are normalised to NFC first, so that an accent is the same whether it is a character of its own or not. NFC changes
nothing that can be seen; NFKC, which would make "2" of "²", is not applied.
"""

import functools
import itertools
import re
import unicodedata

# Letters of scripts without blanks between words; their digits and vowel signs are not among them.
_UNSPACED = (
    r"\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46"  # Thai
    r"\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"  # Lao
    r"\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Myanmar
    r"\u1780-\u17d3\u17d7\u17dc"  # Khmer
    r"\u1950-\u19ca\u1a20-\u1a54\u1aa7\uaa80-\uaadf"  # Tai
    r"\u3005-\u3007\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Hiragana, ideographs
)
_ZERO_WIDTH_SPACE = 0x200B  # a format character to Unicode, but one that separates


_SURROGATE = re.compile("[\ud800-\udfff]")
LETTER = rf"[^\W{_UNSPACED}]"


# Parts of regular expressions, made when the first one is needed: a look at all characters takes 20 ms. Possessive quantifiers
# never backtrack, which keeps the time linear; most characters that follow a word are ASCII, and need not be looked for among
# hundreds of ranges.
@functools.cache
def _marks():
    """A run of marks and format characters."""
    planes = itertools.chain(range(0x20000), range(0xE0000, 0xE0200))  # the others have none
    codes = [
        code
        for code in planes
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me", "Cf") and code != _ZERO_WIDTH_SPACE
    ]
    runs = itertools.groupby(enumerate(codes), lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(run) for _, run in runs)]
    ranges = "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ends)
    return rf"(?:(?![\x00-\x7f])[{ranges}]++)"


def run_of(letter):
    """A run of letters and the marks on them, where `letter` matches one."""
    return rf"{letter}++(?:{_marks()}{letter}*+)*+"


def word():
    """A word of letters."""
    return run_of(LETTER)


def other():
    """A character, with its marks, where no `word` begins."""
    return rf"\S{_marks()}?+"


def normalise(text):
    """The text in the form in which words are compared: NFC."""
    return unicodedata.normalize("NFC", text)


def encodable(text):
    """The text in characters that UTF-8 has: U+FFFD in the place of halves of surrogate pairs, which are words alike."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


# What words can be, as a model file names it.
UNICODE, RUNS = "unicode", "runs"
DEFINITIONS = UNICODE, RUNS


def analysis(definition, lowercase):
    """What scikit-learn's vectorizers of texts take to split them: a dict of their parameters.

    Parameters
    ----------
    definition : {"unicode", "runs"}
        "unicode" is that of this module. "runs", of the first models, are runs of letters, digits and underscores, without
        marks and as they stand.
    lowercase : bool
    """
    prepare = functools.partial(_prepared, lowercase=lowercase, normalised=definition == UNICODE)
    pattern = r"\w+|[^\w\s]" if definition == RUNS else rf"{word()}|{other()}"
    return {"preprocessor": prepare, "token_pattern": pattern, "lowercase": False}  # the preprocessor has seen to it


def _prepared(text, *, lowercase, normalised):
    text = text.lower() if lowercase else text
    return normalise(text) if normalised else text
