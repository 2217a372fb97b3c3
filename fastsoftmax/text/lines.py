"""The lines of a data file, plain or compressed, and errors that name them."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import stat
import zlib
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np

from fastsoftmax.validation import check_source

MAX_LINE = 2**28  # bytes; a longer one is no row, but a file of another kind, or one that means harm


class _Compression(NamedTuple):
    """A way to compress files, and with what they begin; with bzip2 a mark of a block too, since its own is three letters."""

    name: str
    begins: re.Pattern
    open: callable


_COMPRESSIONS = (
    _Compression("gzip", re.compile(rb"\x1f\x8b"), gzip.open),
    _Compression("bzip2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), bz2.open),
    _Compression("xz", re.compile(rb"\xfd7zXZ\0"), lzma.open),
)
_HEAD = 10  # bytes that tell the compression

_UTF8_MARK = codecs.BOM_UTF8
_OTHER_MARKS = {  # UTF-32's first: UTF-16's is how it begins
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class EmptyFileError(ValueError):
    """A data file has no line, or nothing but blank ones where these are no samples."""


@contextmanager
def open_lines(source, show=None):
    """The name of a file and an iterator over its lines, as bytes, decompressed if need be and without a mark of UTF-8.

    A byte \\n ends a line, and nothing else does; of a file that is but a mark, the one line is empty.

    show : function that is called with the numbers of bytes of the file that are read
    """
    with open_arriving(source, show) as (name, lines, _):
        yield name, lines


@contextmanager
def open_arriving(source, show=None):
    """What `open_lines` yields, and a function that says whether one would have to wait for the next line.

    It says no of regular files, however slow they are, and of compressed data, which come in blocks of their own.
    """
    with _opened(source, show) as (name, file, raw, waits):
        yield name, _lines(name, file, raw), waits


@contextmanager
def open_blocks(source, size):
    """What `open_lines` yields, but an iterator over blocks of lines: `size` bytes, and the rest of a line behind them."""
    with _opened(source) as (name, file, _, _):
        yield name, _blocks(name, file, size)


@contextmanager
def _opened(source, show=None):
    """The name of a file, a buffered reader of its bytes, decompressed if need be, what that reads from, and whether it waits.

    Damage that is found inside is named.
    """
    check_source("source", source)
    with ExitStack() as stack:
        if hasattr(source, "readinto"):
            name, file = str(getattr(source, "name", "stream")), source
            io.BufferedReader(file).detach()  # raises where it cannot be read; the caller's file stays open
        else:
            name, file = os.fsdecode(source), stack.enter_context(open(source, "rb"))
        comes = not _is_regular(file)
        raw = _Rejoined(_head(file), file, show)
        file = io.BufferedReader(raw, 2**16)
        compression = next((kind for kind in _COMPRESSIONS if kind.begins.match(raw.head)), None)
        if compression is None:
            yield name, file, raw, (lambda: raw.waits(file)) if comes else _never
            return
        file = io.BufferedReader(stack.enter_context(compression.open(file)), 2**16)
        try:
            yield name, file, raw, _never
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if getattr(error, "errno", None) is not None:  # the system's, about the file itself
                raise
            raise ValueError(f"{name}: damaged {compression.name} file: {error}") from error


def _never():
    return False


def _is_regular(file):
    """Whether a file has all of its bytes already, as one on a disk or in memory, unlike a pipe, a socket or a terminal."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):  # it has no descriptor
        return True


def _into(file):
    """How to read into a buffer: with no more than one wait, where the file offers that."""
    return file.readinto1 if isinstance(file, io.BufferedReader) else file.readinto


def _head(file):
    """The bytes that tell the compression, or all up to the end of the first line: a terminal has no more yet."""
    head, into = b"", _into(file)
    while len(head) < _HEAD and b"\n" not in head:
        part = bytearray(_HEAD - len(head))
        n_read = into(part)
        if not n_read:
            break
        head += part[:n_read]
    return head


class _Rejoined(io.RawIOBase):
    """A stream from its beginning, though its first bytes were read: a pipe cannot go back, and may give one at a time.

    n_given, n_taken : bytes that it has given, and of these those that are in lines that were taken
    """

    def __init__(self, head, rest, show=None):
        self.head, self._left, self._into, self._show = head, head, _into(rest), show
        self.n_given = self.n_taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        if self._left:
            n_read = min(len(buffer), len(self._left))
            buffer[:n_read], self._left = self._left[:n_read], self._left[n_read:]
        else:
            n_read = self._into(buffer)
        if n_read:
            self.n_given += n_read
            if self._show is not None:
                self._show(n_read)
        return n_read

    def waits(self, file):
        """Whether the next line is not all in the buffer of `file`, which reads from here and nothing else does."""
        return self.n_given == self.n_taken or b"\n" not in file.peek(1)


def _lines(name, file, raw):
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE + 1), b""), start=1):
        raw.n_taken += len(line)
        if number == 1:
            line = _without_mark(name, line)
        if len(line) > MAX_LINE:
            raise line_error(name, number, f"longer than {MAX_LINE} bytes")
        yield line


def _blocks(name, file, size):
    number = 1  # of the line that the next block begins with
    while block := file.read(size):
        if not block.endswith(b"\n"):
            block += file.readline(MAX_LINE + 1)
        if number == 1:
            block = _without_mark(name, block)
        last = block.rfind(b"\n", 0, len(block) - 1) + 1  # where the last line begins: no other may be as long
        n_before = np.count_nonzero(np.frombuffer(block, np.uint8, last) == ord("\n"))
        if len(block) - last > MAX_LINE:
            raise line_error(name, number + n_before, f"longer than {MAX_LINE} bytes")
        yield block
        number += n_before + 1


def in_chunks(lines, waits, size):
    """The lines with their numbers from 1 on, in lists of at most `size`: as many as there are before one has to wait.

    What is wrong with a line is raised after the lines before it.
    """
    chunk, error = [], None
    try:
        for numbered in enumerate(lines, start=1):
            chunk.append(numbered)
            if len(chunk) == size or waits():
                yield chunk
                chunk = []
    except Exception as fault:
        error = fault
    if chunk:
        yield chunk
    if error is not None:
        raise error


def _without_mark(name, line):
    """The first line of a file without UTF-8's byte order mark; ValueError if it has that of another encoding."""
    for mark, encoding in _OTHER_MARKS.items():
        if line.startswith(mark):
            raise ValueError(f"{name}: its byte order mark is that of {encoding}: convert the file to UTF-8")
    return line.removeprefix(_UTF8_MARK)


def decoded(name, lines):
    """Lines of bytes as str; ValueError where one is no UTF-8."""
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise line_error(name, number, f"not UTF-8: {quoted(line)}") from None


def first_lines(name, lines, *, blank_counts=False):
    """The lines up to the first that is neither blank nor a comment; EmptyFileError if all are blank.

    blank_counts : whether a blank line is one of the data; then only a file without any line is empty
    """
    first = []
    for line in lines:
        first.append(line)
        if line.partition(b"#")[0].strip():
            break
    if not any(line if blank_counts else line.strip() for line in first):
        raise EmptyFileError(f"{name}: empty file")
    return first


def line_error(name, number, fault):
    """A ValueError that says in which line of which file the fault is."""
    return ValueError(f"{name}, line {number}: {fault}")


def quoted(text):
    """Bytes of a file as an error message quotes them."""
    text = text.strip()[:400].decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= 60 else text[:60] + "...")
