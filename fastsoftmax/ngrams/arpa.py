"""ARPA files: the text format of back-off n-gram models.

A line of a section has the log10 of a probability, the words of an n-gram, and the log10 of its back-off weight where it has
one, separated by blanks. `<s>` has no probability; its place holds 0, as lmplz writes it.
"""

import gzip
import itertools
import math
import re
from array import array
from contextlib import nullcontext

import numpy as np

from fastsoftmax.ngrams.sentences import BEGIN, SPECIAL
from fastsoftmax.ngrams.tables import Table, sorted_keys, words_of_ngrams
from fastsoftmax.runtime.output_file import OutputFile
from fastsoftmax.runtime.progress import say
from fastsoftmax.text.keys import find
from fastsoftmax.text.lines import line_error, open_lines, quoted

BLOCK = 1 << 16  # lines written at once
LOWEST = -99.0  # what stands for the log10 of 0
GZIP_LEVEL = 6

_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)\s*$")


def write(path, tables, words, verbose):
    """Write Tables and the words of their codes, as bytes; compressed by gzip where the path ends in .gz."""
    names = np.array(words, dtype=object)
    with OutputFile(path).open() as file:
        is_gzip = str(path).endswith(".gz")
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) if is_gzip else nullcontext(file) as out:
            out.write(b"\\data\\\n")
            for length, table in enumerate(tables, start=1):
                out.write(b"ngram %d=%d\n" % (length, len(table.log10_proba)))
            for length, (table, ngrams) in enumerate(zip(tables, words_of_ngrams(tables), strict=True), start=1):
                say(f"writing n-grams of {length} words", verbose, n_rows=len(ngrams))
                out.write(b"\n\\%d-grams:\n" % length)
                for first in range(0, len(ngrams), BLOCK):
                    block = slice(first, first + BLOCK)
                    out.write(_lines(table, names[ngrams[block]], block, length == len(tables)))
            out.write(b"\n\\end\\\n")


def _lines(table, words, block, is_longest):
    """The lines of a block of n-grams, given their words."""
    log10_proba = np.maximum(table.log10_proba[block], LOWEST)
    if table.keys is None and block.start == 0:
        log10_proba[BEGIN] = 0.0
    log10_backoff = np.maximum(table.log10_backoff[block], LOWEST)
    ngrams = map(b" ".join, words.tolist())
    if is_longest:
        return b"".join(b"%.8g\t%b\n" % row for row in zip(log10_proba.tolist(), ngrams, strict=True))
    rows = zip(log10_proba.tolist(), ngrams, log10_backoff.tolist(), strict=True)
    return b"".join(b"%.8g\t%b\t%.8g\n" % row for row in rows)


def read(source, verbose):
    """The Tables of a file and the words of their codes, as bytes.

    The words of SPECIAL have the first codes, whether the file has them or not; such a one has probability 0.
    """
    with open_lines(source) as (name, lines):
        lines = enumerate(lines, start=1)
        sizes = _sizes(name, lines)
        codes = {word: code for code, word in enumerate(SPECIAL)}
        tables = []
        for length, size in enumerate(sizes, start=1):
            say(f"reading n-grams of {length} words", verbose, n_rows=size)
            section = _Section(name, _header(name, lines, b"\\%d-grams:" % length), length)
            section.read(lines, codes)
            section.check_size(size)
            tables.append(section.unigrams(len(codes)) if length == 1 else section.table(tables, len(codes)))
        _header(name, lines, b"\\end\\")
    return tables, list(codes)


def _sizes(name, lines):
    """The numbers of n-grams of each length that the head of a file names, up to the line that ends it."""
    number, line = next(((number, line) for number, line in lines if line.strip()), (1, b""))
    if line.strip() != b"\\data\\":
        raise line_error(name, number, f"an ARPA file begins with \\data\\, got {quoted(line)}")
    sizes = []
    for number, line in lines:
        if not line.strip():
            break
        match = _COUNT.match(line.strip())
        if match is None or int(match[1]) != len(sizes) + 1:
            raise line_error(name, number, f"expected ngram {len(sizes) + 1}=..., got {quoted(line)}")
        sizes.append(int(match[2]))
    if not sizes:
        raise line_error(name, number, "no numbers of n-grams after \\data\\")
    return sizes


def _header(name, lines, expected):
    """The number of the next line that is not empty, which must be the expected one."""
    number, line = next(((number, line) for number, line in lines if line.strip()), (None, b""))
    if number is None:
        raise ValueError(f"{name}: the file ends before {expected.decode()}")
    if line.strip() != expected:
        raise line_error(name, number, f"expected {expected.decode()}, got {quoted(line)}")
    return number


class _Section:
    """The n-grams of one length as a file has them, one a line, and checks that name the line."""

    def __init__(self, name, header, length):
        self._name, self._first, self._length = name, header + 1, length
        self._log10_proba, self._log10_backoff = array("d"), array("d")
        self._ids = array("i")

    def read(self, lines, codes):
        """Read up to the next empty line; unigrams give new words their codes."""
        length = self._length
        new_code = itertools.count(len(codes)).__next__ if length == 1 else None
        for number, line in lines:
            fields = line.split()
            if not fields:
                break
            if len(fields) - length not in (1, 2):
                raise line_error(self._name, number, f"expected {length} words between numbers, got {quoted(line)}")
            try:
                log10_proba = float(fields[0])
                log10_backoff = float(fields[-1]) if len(fields) == length + 2 else 0.0
            except ValueError:
                raise line_error(self._name, number, f"expected numbers around the words, got {quoted(line)}") from None
            if not log10_proba <= 0 or not log10_backoff < math.inf:
                raise line_error(
                    self._name,
                    number,
                    f"a log10 of a probability is at most 0, and a weight is finite, got {quoted(line)}",
                )
            if new_code is not None and fields[1] not in codes:
                codes[fields[1]] = new_code()
            try:
                self._ids.extend([codes[word] for word in fields[1 : length + 1]])
            except KeyError as error:
                raise line_error(self._name, number, f"{quoted(error.args[0])} is not among the unigrams") from None
            self._log10_proba.append(log10_proba)
            self._log10_backoff.append(log10_backoff)

    def check_size(self, size):
        """Raise unless the section has as many n-grams as the head of the file says."""
        if len(self._log10_proba) != size:
            number = self._first + len(self._log10_proba)
            raise line_error(
                self._name,
                number,
                f"the section of {self._length}-grams ends after {len(self._log10_proba)}, but \\data\\ says {size}",
            )

    def unigrams(self, n_words):
        """The first Table."""
        ids = np.frombuffer(self._ids, dtype=np.int32)
        self._check_distinct(np.argsort(ids, kind="stable"), ids)
        log10_proba, log10_backoff = np.full(n_words, -np.inf), np.zeros(n_words)
        log10_proba[ids] = self._log10_proba
        log10_backoff[ids] = self._log10_backoff
        log10_proba[BEGIN] = -np.inf
        return Table(None, log10_proba, log10_backoff)

    def table(self, tables, n_words):
        """The Table of this section, whose contexts are in the Tables of the shorter n-grams."""
        ids = np.frombuffer(self._ids, dtype=np.int32).reshape(-1, self._length)
        context = ids[:, 0].astype(np.int64)
        is_there = np.ones(len(ids), dtype=bool)
        for column, shorter in enumerate(tables[1:], start=1):
            context, found = find(shorter.keys, context * n_words + ids[:, column])
            is_there &= found
        if not is_there.all():
            number = self._first + int(is_there.argmin())
            raise line_error(
                self._name, number, f"its first {self._length - 1} words are not among the shorter n-grams"
            )
        keys, rows = sorted_keys(context, ids[:, -1], n_words)
        self._check_distinct(rows, context * n_words + ids[:, -1])
        return Table(keys, np.array(self._log10_proba)[rows], np.array(self._log10_backoff)[rows])

    def _check_distinct(self, rows, keys):
        """Raise where two n-grams are the same, given their keys and which rows sort these."""
        again = rows[1:][keys[rows][1:] == keys[rows][:-1]]
        if len(again):
            raise line_error(
                self._name, self._first + int(again.min()), f"this {self._length}-gram stands in the file twice"
            )
