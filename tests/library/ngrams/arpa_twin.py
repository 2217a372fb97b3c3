"""The slow twin of the reader of ARPA files: line by line, as lists of words."""

import re

import numpy as np

from fastsoftmax.ngrams.sentences import BEGIN, SPECIAL
from fastsoftmax.ngrams.tables import Table
from fastsoftmax.text.lines import line_error, open_lines, quoted

COUNT = re.compile(rb"ngram (\d+) ?= ?(\d+)")


def read(source):
    """The Tables of a file and the words of their codes, as bytes."""
    with open_lines(source) as (name, lines):
        rows = Rows(name, lines)
        sizes = sizes_of(rows)
        codes = {word: code for code, word in enumerate(SPECIAL)}
        sections, tables = [], []
        for length, size in enumerate(sizes, start=1):
            rows.expect(b"\\%d-grams:" % length)
            first = rows.number + 1
            section = list(read_section(rows, length, codes))
            if len(section) != size:
                fault = f"the section of {length}-grams ends after {len(section)}, but \\data\\ says {size}"
                raise rows.error(first + len(section), fault)
            tables.append(table_of(rows, first, length, section, sections, len(codes)))
            sections.append({ngram: place for place, ngram in enumerate(ordered(section, sections, len(codes)))})
        rows.expect(b"\\end\\")
    return tables, list(codes)


class Rows:
    """The lines of a file as lists of what blanks separate in them, and errors that name a line."""

    def __init__(self, name, lines):
        self.name, self.rows, self.number = name, map(bytes.split, lines), 0

    def next(self):
        row = next(self.rows, None)
        self.number += row is not None
        return row

    def next_filled(self):
        row = self.next()
        while row == []:
            row = self.next()
        return row

    def expect(self, word):
        row = self.next_filled()
        if row is None:
            raise ValueError(f"{self.name}: the file ends before {word.decode()}")
        if row != [word]:
            raise self.error(self.number, f"expected {word.decode()}, got {self.quoted(row)}")

    def error(self, number, fault):
        return line_error(self.name, number, fault)

    @staticmethod
    def quoted(row):
        return quoted(b" ".join(row))


def sizes_of(rows):
    row = rows.next_filled()
    if row != [b"\\data\\"]:
        raise rows.error(max(rows.number, 1), f"an ARPA file begins with \\data\\, got {rows.quoted(row or [])}")
    sizes = []
    while row := rows.next():
        match = COUNT.fullmatch(b" ".join(row))
        if match is None or int(match[1]) != len(sizes) + 1:
            raise rows.error(rows.number, f"expected ngram {len(sizes) + 1}=..., got {rows.quoted(row)}")
        sizes.append(int(match[2]))
    if not sizes:
        raise rows.error(rows.number, "no numbers of n-grams after \\data\\")
    return sizes


def read_section(rows, length, codes):
    """(log10_proba, log10_backoff, codes of the words) of each line up to an empty one."""
    while row := rows.next():
        if len(row) not in (length + 1, length + 2):
            raise rows.error(rows.number, f"expected {length} words between numbers, got {rows.quoted(row)}")
        try:
            proba, backoff = float(row[0]), float(row[-1]) if len(row) > length + 1 else 0.0
        except ValueError:
            raise rows.error(rows.number, f"expected numbers around the words, got {rows.quoted(row)}") from None
        if not (proba <= 0 and backoff < np.inf):
            fault = "a log10 of a probability is at most 0, and a weight is finite"
            raise rows.error(rows.number, f"{fault}, got {rows.quoted(row)}")
        words = row[1 : length + 1]
        if length == 1:
            codes.setdefault(words[0], len(codes))
        for word in words:
            if word not in codes:
                raise rows.error(rows.number, f"{quoted(word)} is not among the unigrams, got {rows.quoted(row)}")
        yield proba, backoff, tuple(codes[word] for word in words)


def ordered(section, sections, n_words):
    """The n-grams of a section in the order of its Table: by the place of the context, then by the last word."""
    ngrams = [ngram for _, _, ngram in section]
    if not sections:
        return [(code,) for code in range(n_words)]
    return sorted(ngrams, key=lambda ngram: (sections[-1][ngram[:-1]], ngram[-1]))


def table_of(rows, first, length, section, sections, n_words):
    """The Table of a section; `sections` : the places of the n-grams of each shorter length."""
    ngrams = [ngram for _, _, ngram in section]
    for number, ngram in enumerate(ngrams, start=first):
        if any(ngram[:n] not in shorter for n, shorter in enumerate(sections, start=1)):
            raise rows.error(number, f"its first {length - 1} words are not among the shorter n-grams")
    seen = set()
    for number, ngram in enumerate(ngrams, start=first):
        if ngram in seen:
            raise rows.error(number, f"this {length}-gram stands in the file twice")
        seen.add(ngram)
    numbers = {ngram: pair for *pair, ngram in section}
    if length == 1:
        values = np.array([numbers.get((code,), (-np.inf, 0.0)) for code in range(n_words)])
        values[BEGIN, 0] = -np.inf
        return Table(None, values[:, 0], values[:, 1])
    in_order = ordered(section, sections, n_words)
    keys = [sections[-1][ngram[:-1]] * n_words + ngram[-1] for ngram in in_order]
    values = np.array([numbers[ngram] for ngram in in_order], dtype=np.float64).reshape(-1, 2)
    return Table(np.array(keys, dtype=np.int64), values[:, 0], values[:, 1])
