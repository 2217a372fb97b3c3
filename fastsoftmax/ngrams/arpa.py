"""ARPA files: the text format of back-off n-gram models.

A line of a section has the log10 of a probability, the words of an n-gram, and the log10 of its back-off weight where it has
one, separated by blanks. `<s>` has no probability; its place holds 0, as lmplz writes it.
"""

import gzip
import itertools
import re
from contextlib import nullcontext

import numpy as np

from fastsoftmax.kernels import arpa_lines
from fastsoftmax.ngrams.sentences import BEGIN, SPECIAL
from fastsoftmax.ngrams.tables import Table, sorted_keys, words_of_ngrams
from fastsoftmax.runtime.output_file import OutputFile
from fastsoftmax.runtime.progress import say
from fastsoftmax.text.keys import find
from fastsoftmax.text.lines import line_error, open_blocks, quoted

BLOCK = 1 << 20  # bytes that are read at once
LINES_WRITTEN = 1 << 16  # at once
LOWEST = -99.0  # what stands for the log10 of 0
DECIMALS = 7
GZIP_LEVEL = 6

_COUNT = re.compile(rb"ngram (\d{1,18}) ?= ?(\d{1,18})")


def write(path, tables, words, verbose):
    """Write Tables and the words of their codes, as bytes; compressed by gzip where the path ends in .gz."""
    spaced, last = ([word + end for word in words] for end in (b" ", b"\t"))
    spaced, last, longest = (
        np.array(ended, dtype=object) for ended in (spaced, last, [word + b"\n" for word in words])
    )
    with OutputFile(path).open() as file:
        is_gzip = str(path).endswith(".gz")
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) if is_gzip else nullcontext(file) as out:
            out.write(b"\\data\\\n")
            for length, table in enumerate(tables, start=1):
                out.write(b"ngram %d=%d\n" % (length, len(table.log10_proba)))
            for length, (table, ngrams) in enumerate(zip(tables, words_of_ngrams(tables), strict=True), start=1):
                say(f"writing n-grams of {length} words", verbose, n_rows=len(ngrams))
                out.write(b"\n\\%d-grams:\n" % length)
                is_longest = length == len(tables)
                for first in range(0, len(ngrams), LINES_WRITTEN):
                    block = slice(first, first + LINES_WRITTEN)
                    *before, column = ngrams[block].T
                    columns = [spaced[each] for each in before] + [(longest if is_longest else last)[column]]
                    columns.insert(0, _probabilities(table, block))
                    if not is_longest:
                        columns.append(_weights(table.log10_backoff[block]))
                    pieces = zip(*(column.tolist() for column in columns), strict=True)
                    out.write(b"".join(itertools.chain.from_iterable(pieces)))
            out.write(b"\n\\end\\\n")


def _probabilities(table, block):
    """The numbers that begin the lines of a block of n-grams, and a tab each; their digits are made for all at once."""
    log10_proba = np.maximum(table.log10_proba[block], LOWEST)
    if table.keys is None and block.start <= BEGIN < block.stop:
        log10_proba[BEGIN - block.start] = 0.0
    rest = np.rint(log10_proba * -(10**DECIMALS)).astype(np.int64)
    characters = np.empty((len(rest), DECIMALS + 4), dtype=np.uint8)
    characters[:, 0], characters[:, 2], characters[:, -1] = b"-.\t"
    for place in [*range(DECIMALS + 2, 2, -1), 1]:
        rest, digit = np.divmod(rest, 10)
        characters[:, place] = digit + ord("0")
    texts = characters.view(f"S{characters.shape[1]}")[:, 0].astype(object)
    texts[log10_proba == 0] = b"0\t"
    for row in np.flatnonzero(rest):  # more digits before the point
        texts[row] = b"%.*f\t" % (DECIMALS, log10_proba[row])
    return texts


def _weights(log10_backoff):
    """The numbers that end the lines of a block of n-grams, of which few are different, and the ends of these lines."""
    distinct, which = np.unique(np.maximum(log10_backoff, LOWEST), return_inverse=True)
    return np.array([b"%.8g\n" % number for number in distinct.tolist()], dtype=object)[which]


def read(source, verbose):
    """The Tables of a file and the words of their codes, as bytes.

    The words of SPECIAL have the first codes, whether the file has them or not; such a one has probability 0.
    """
    with open_blocks(source, BLOCK) as (name, blocks):
        rows = _Rows(name, blocks)
        sizes = _sizes(rows)
        codes = {word: code for code, word in enumerate(SPECIAL)}
        tables = []
        for length, size in enumerate(sizes, start=1):
            say(f"reading n-grams of {length} words", verbose, n_rows=size)
            rows.expect(b"\\%d-grams:" % length)
            section = _Section(rows, length, codes)
            section.check_size(size)
            tables.append(section.unigrams(len(codes)) if length == 1 else section.table(tables, len(codes)))
        rows.expect(b"\\end\\")
    return tables, list(codes)


class _Rows:
    """The lines of a file: one by one, each a list of what blanks separate in it; or those of a section as arrays."""

    def __init__(self, name, blocks):
        self._name, self._blocks = name, blocks
        self._block, self._place = b"", 0  # whole lines, and where the next one begins
        self.number = 0  # of lines read

    def _fill(self):
        """Whether there is a further line, which is in the block then."""
        if self._place == len(self._block):
            self._block, self._place = next(self._blocks, b""), 0
        return self._place < len(self._block)

    def next(self):
        """The next line; None at the end of the file."""
        if not self._fill():
            return None
        end = self._block.find(b"\n", self._place) + 1 or len(self._block)
        row = self._block[self._place : end].split()
        self._place, self.number = end, self.number + 1
        return row

    def next_filled(self):
        """The next line that is not empty; None at the end of the file."""
        row = self.next()
        while row == []:
            row = self.next()
        return row

    def expect(self, word):
        """Read up to the next line that is not empty, which must be this word."""
        row = self.next_filled()
        if row is None:
            raise ValueError(f"{self._name}: the file ends before {word.decode()}")
        if row != [word]:
            raise self.error(self.number, f"expected {word.decode()}, got {self.quoted(row)}")

    def ngrams(self, length, codes):
        """The n-grams of the lines up to the next empty one, some at a time: (log10_proba, log10_backoff, ids) each.

        Words have their codes in the dict `codes`; where they have none, unigrams give them the next ones.
        """
        outcome = arpa_lines.DONE
        while outcome == arpa_lines.DONE and self._fill():
            n_most = (len(self._block) - self._place) // (2 * length + 2) + 1  # no line of an n-gram is shorter
            arrays = np.empty(n_most), np.empty(n_most), np.empty((n_most, length), dtype=np.int32)
            n, self._place, outcome = arpa_lines.read(self._block, self._place, codes, length == 1, *arrays)
            self.number += n
            yield [a[:n].copy() for a in arrays]
        if outcome not in (arpa_lines.DONE, arpa_lines.BLANK):
            row = self.next()
            raise self.error(self.number, f"{_fault(outcome, row, length, codes)}, got {self.quoted(row)}")

    def error(self, number, fault):
        """A ValueError about a line."""
        return line_error(self._name, number, fault)

    @staticmethod
    def quoted(row):
        """A line as an error message quotes it."""
        return quoted(b" ".join(row))


def _fault(outcome, row, length, codes):
    """What is wrong with the line of an n-gram, by the outcome of arpa_lines.read."""
    if outcome == arpa_lines.WIDTH:
        return f"expected {length} words between numbers"
    if outcome == arpa_lines.NUMBER:
        return "expected numbers around the words"
    if outcome == arpa_lines.WORD:
        return f"{quoted(next(word for word in row[1 : length + 1] if word not in codes))} is not among the unigrams"
    return "a log10 of a probability is at most 0, and a weight is finite"


def _sizes(rows):
    """The numbers of n-grams of each length that the head of a file names, up to the line that ends it."""
    row = rows.next_filled()
    if row != [b"\\data\\"]:
        raise rows.error(max(rows.number, 1), f"an ARPA file begins with \\data\\, got {rows.quoted(row or [])}")
    sizes = []
    while row := rows.next():
        match = _COUNT.fullmatch(b" ".join(row))
        if match is None or int(match[1]) != len(sizes) + 1:
            raise rows.error(rows.number, f"expected ngram {len(sizes) + 1}=..., got {rows.quoted(row)}")
        sizes.append(int(match[2]))
    if not sizes:
        raise rows.error(rows.number, "no numbers of n-grams after \\data\\")
    return sizes


class _Section:
    """The n-grams of one length as a file has them, one a line, and checks that name the line."""

    def __init__(self, rows, length, codes):
        self._rows, self._length, self._first = rows, length, rows.number + 1
        none = np.empty(0), np.empty(0), np.empty((0, length), dtype=np.int32)
        parts = [none, *rows.ngrams(length, codes)]
        self._log10_proba, self._log10_backoff, self._ids = map(np.concatenate, zip(*parts, strict=True))

    def check_size(self, size):
        """Raise unless the section has as many n-grams as the head of the file says."""
        found = len(self._ids)
        if found != size:
            fault = f"the section of {self._length}-grams ends after {found}, but \\data\\ says {size}"
            raise self._rows.error(self._first + found, fault)

    def unigrams(self, n_words):
        """The first Table."""
        ids = self._ids[:, 0]
        rows = np.argsort(ids, kind="stable")
        self._check_distinct(rows, ids[rows])
        log10_proba, log10_backoff = np.full(n_words, -np.inf), np.zeros(n_words)
        log10_proba[ids] = self._log10_proba
        log10_backoff[ids] = self._log10_backoff
        log10_proba[BEGIN] = -np.inf
        return Table(None, log10_proba, log10_backoff)

    def table(self, tables, n_words):
        """The Table of this section, whose contexts are in the Tables of the shorter n-grams."""
        context = self._ids[:, 0].astype(np.int64)
        is_there = np.ones(len(context), dtype=bool)
        for column, shorter in enumerate(tables[1:], start=1):
            context, found = find(shorter.keys, context * n_words + self._ids[:, column])
            is_there &= found
        if not is_there.all():
            number = self._first + int(is_there.argmin())
            raise self._rows.error(number, f"its first {self._length - 1} words are not among the shorter n-grams")
        keys, rows = sorted_keys(context, self._ids[:, -1], n_words)
        self._check_distinct(rows, keys)
        return Table(keys, self._log10_proba[rows], self._log10_backoff[rows])

    def _check_distinct(self, rows, keys):
        """Raise where two n-grams are the same, given their sorted keys and which row each is of."""
        again = rows[1:][keys[1:] == keys[:-1]]
        if len(again):
            number = self._first + int(again.min())
            raise self._rows.error(number, f"this {self._length}-gram stands in the file twice")
