"""A folder of text or source code as a next-token classification problem: the data of `fastsoftmax demo`."""

import functools
import hashlib
import os
import re
import sysconfig
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fastsoftmax.text.words import LETTER, normalise, other, run_of, word
from fastsoftmax.validation import check_int, check_real

NEWLINE, NUMBER, STRING, UNKNOWN = "<newline>", "<num>", "<str>", "<unk>"

PYTHON_SUFFIXES = (".py", ".pyi", ".pyw")
# Installed packages differ between machines; without them the demo's corpus depends on the Python version alone.
SKIPPED_FOLDERS = {"__pycache__", "site-packages", "dist-packages"}

# A token, and what is skipped before it. Possessive quantifiers (*+, ++) never backtrack, which keeps the time linear.
_NUMBER = rf"\.?\d(?:[eE][+-]?(?=\d)|\.|{LETTER})*+"


@functools.cache
def _python_token():
    return re.compile(
        r"""
        (?: [ \t\f]++ | \\\n | \#[^\n]*+ )*+                        # blanks, continued lines, comments
        (
            \Z                                                     # else the search would go on inside a last comment
          | \n (?: \s++ | \#[^\n]*+ )*+                             # empty lines and lines of comments make one newline
          | (?: [rR][bBfFtT]? | [bBfFtT][rR]? | [uU] )?+
            (?: \"{3} (?: [^"\\]++ | \\. | "(?!"") )*+ \"{3}
              | '{3} (?: [^'\\]++ | \\. | '(?!'') )*+ '{3}
              | " (?: [^"\\\n]++ | \\. )*+ "
              | ' (?: [^'\\\n]++ | \\. )*+ ' )
          | (?!\d) NAME
          | NUMBER
          | \*\*=? | //=? | >>=? | <<=? | -> | := | \.\.\. | [-+*/%&|^@=!<>]=
          | (?!\#) OTHER
        )
        """.replace("NUMBER", _NUMBER)
        .replace("NAME", run_of(r"\w"))
        .replace("OTHER", other()),
        re.VERBOSE | re.DOTALL,
    )


@functools.cache
def _text_token():
    return re.compile(
        r"""
        [^\S\n]*+
        (
            \n\s*+
          | (?!\d) WORD (?: ['\u2019] WORD )*+                       # a word, the apostrophe of "don't" included
          | NUMBER
          | OTHER
        )
        """.replace("NUMBER", _NUMBER)
        .replace("WORD", word())
        .replace("OTHER", other()),
        re.VERBOSE,
    )


def tokenize_text(text, *, python):
    """The tokens of a text. All newlines are one token; so are all numbers and, in Python, all string literals.

    Parameters
    ----------
    text : str
    python : bool
        True: the text is Python source. Comments are dropped; a string literal (prefix, triple quotes and f-strings
        included) is `<str>`. If the same quotes are nested in an f-string, which Python 3.12 allows, they are taken for
        its end. False: it is any text, of words and other characters, each of which is a token. What a word is in
        each language, `TextVectorizer` says; here the apostrophe of "don't" is part of it. Tokens are in NFC, and their
        case is kept.

    Returns
    -------
    list of str
        A number is `<num>`; the end of a line, with the empty lines and the indentation after it, is `<newline>`. Only
        \\n ends a line; other blanks of Unicode separate tokens.
    """
    return [_fold(piece) for piece in _pieces(text, python)]


def _pieces(text, python):
    """The piece of the text that each token is made of."""
    pieces = (_python_token() if python else _text_token()).findall(normalise(text))
    while pieces and not pieces[-1]:  # the end of the text, and a comment there
        pieces.pop()
    return pieces


def _fold(piece):
    """The token that a piece of text becomes."""
    if piece[0] == "\n":
        return NEWLINE
    if piece[0].isdecimal() or (piece[0] == "." and piece[1:2].isdecimal()):
        return NUMBER
    if len(piece) > 1 and piece[-1] in "\"'":
        return STRING
    return piece


class _PieceCodes(dict):
    """The code of the token that each piece becomes.

    `_fold` runs once for each distinct piece, so that tokenising is two loops in C: findall and the look-up here.
    """

    def __init__(self):
        self.token_codes = {}

    def __missing__(self, piece):
        token = _fold(piece)
        code = self[piece] = self.token_codes.setdefault(token, len(self.token_codes))
        return code


@dataclass(frozen=True, eq=False)
class Corpus:
    """The tokens of a folder's files, as codes into a vocabulary. Some of the files are held out for test.

    Attributes
    ----------
    vocabulary : list of str, length n_classes
        Tokens by falling count in the training files. `<unk>` stands for every rarer token; it is a class like any
        other, so perplexities include it.
    train_ids, test_ids : ndarray of int32, shape (n_tokens,)
        The tokens of the files, one file after the other.
    train_starts, test_starts : ndarray of int64, shape (n_files,)
        Where each file begins.
    folder : Path
    n_bytes : int
        The size of all files that were read.
    skipped : list of (str, str)
        What was left out, as (path, reason): files that are not text, and files and folders that could not be read.
    python : bool
        Whether most of the tokens come from Python source, so that a prompt is tokenised as Python.
    """

    vocabulary: list
    train_ids: np.ndarray
    train_starts: np.ndarray
    test_ids: np.ndarray
    test_starts: np.ndarray
    folder: Path
    n_bytes: int
    skipped: list
    python: bool

    @property
    def n_classes(self):
        return len(self.vocabulary)

    @cached_property
    def _codes(self):
        return {token: code for code, token in enumerate(self.vocabulary)}

    def encode(self, text):
        """The codes of a text's tokens, int32; that of `<unk>` for tokens outside the vocabulary."""
        tokens = tokenize_text(text, python=self.python)
        unknown = self._codes[UNKNOWN]
        return np.array([self._codes.get(token, unknown) for token in tokens], dtype=np.int32)


def read_corpus(folder=None, *, min_count=2, test_fraction=0.08):
    """Read and tokenise every text file of a folder.

    Parameters
    ----------
    folder : path, optional
        By default the Python source of Python's own standard library. In a given folder every file is read that decodes
        as text: as Python source if its suffix says so, else as plain text. Hidden folders, `__pycache__` and installed
        packages are left out.
    min_count : int
        Tokens that occur less often in the training files become `<unk>`.
    test_fraction : float
        Share of the files that is held out for test, by a hash of the path relative to `folder`: the same files on every
        machine.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        If `folder` is not a folder, or holds fewer than two files of text.
    """
    min_count = check_int("min_count", min_count, minimum=1)
    test_fraction = check_real("test_fraction", test_fraction, above=0, maximum=0.5)
    suffixes = PYTHON_SUFFIXES if folder is None else None
    folder = Path(sysconfig.get_paths()["stdlib"] if folder is None else folder)
    if not folder.is_dir():
        raise ValueError(f"folder must be a folder of text files, got {str(folder)!r}")

    codes, files, skipped = _PieceCodes(), {}, []
    n_bytes = n_python = 0
    for name in _relative_paths(folder, suffixes, skipped):
        python = name.endswith(PYTHON_SUFFIXES)
        try:
            text = _read_text(folder / name, python)
        except (OSError, SyntaxError, ValueError) as error:
            skipped.append((name, str(error)))
            continue
        ids = np.fromiter(map(codes.__getitem__, _pieces(text, python)), dtype=np.int32)
        if len(ids):
            files[name] = ids
            n_bytes += os.path.getsize(folder / name)
            n_python += len(ids) if python else 0
    if len(files) < 2:
        raise ValueError(
            f"folder must hold at least two files of text, got {len(files)} in {str(folder)!r}, {len(skipped)} left out"
        )

    held_out = _held_out(files, test_fraction)
    train_ids, train_starts = _concatenate([ids for name, ids in files.items() if name not in held_out])
    test_ids, test_starts = _concatenate([ids for name, ids in files.items() if name in held_out])
    vocabulary, recode = _vocabulary(list(codes.token_codes), train_ids, min_count)
    return Corpus(
        vocabulary=vocabulary,
        train_ids=recode[train_ids],
        train_starts=train_starts,
        test_ids=recode[test_ids],
        test_starts=test_starts,
        folder=folder,
        n_bytes=n_bytes,
        skipped=skipped,
        python=2 * n_python > len(train_ids) + len(test_ids),
    )


def _relative_paths(folder, suffixes, skipped):
    """The files below a folder that have one of the suffixes (None: any), as relative paths with /, in a fixed order.

    Folders that cannot be listed are added to `skipped`.
    """
    for parent, folders, names in os.walk(folder, onerror=lambda error: skipped.append((error.filename, str(error)))):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if (suffixes is None or name.endswith(suffixes)) and path.is_file():
                yield path.relative_to(folder).as_posix()


def _read_text(path, python):
    if python:
        with tokenize.open(path) as file:  # heeds the encoding that the file declares
            text = file.read()
    else:
        text = path.read_text(encoding="utf-8-sig")
    if "\0" in text:
        raise ValueError("binary: holds a null character")
    return text


def _held_out(names, test_fraction):
    """The names of the test files: those with a small hash, but at least one and never all."""
    by_hash = sorted(names, key=_path_hash)
    n_small = sum(_path_hash(name) < test_fraction for name in names)
    return set(by_hash[: min(max(n_small, 1), len(by_hash) - 1)])


def _path_hash(name):
    """A number in [0, 1) that depends on the path alone."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _concatenate(files):
    starts = np.cumsum([0] + [len(ids) for ids in files[:-1]], dtype=np.int64)
    return np.concatenate(files), starts


def _vocabulary(tokens, train_codes, min_count):
    """The vocabulary by falling count, and an array that maps the codes of `tokens` to codes into the vocabulary."""
    counts = np.bincount(train_codes, minlength=len(tokens))
    kept = np.flatnonzero(counts >= min_count)
    rare = counts[counts < min_count].sum()
    names = np.append(np.array(tokens, dtype=object)[kept], UNKNOWN)
    order = np.lexsort((np.arange(len(names)), -np.append(counts[kept], rare)))
    rank = np.empty(len(names), dtype=np.int32)
    rank[order] = np.arange(len(names))
    recode = np.full(len(tokens), rank[-1], dtype=np.int32)
    recode[kept] = rank[:-1]
    return names[order].tolist(), recode
