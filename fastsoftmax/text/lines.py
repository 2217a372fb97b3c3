"""The lines of a data file, plain or compressed, and errors that name them."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
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
def open_lines(source):
    """The name of a file and an iterator over its lines, as bytes, decompressed if need be and without a mark of UTF-8.

    A byte \\n ends a line, and nothing else does; of a file that is but a mark, the one line is empty.
    """
    with _opened(source) as (name, file):
        yield name, _lines(name, file)


@contextmanager
def open_blocks(source, size):
    """The same, but an iterator over blocks of whole lines, each of `size` bytes and what is left of a line behind them."""
    with _opened(source) as (name, file):
        yield name, _blocks(name, file, size)


@contextmanager
def _opened(source):
    """The name of a file and a buffered reader of its bytes, decompressed if need be. Damage that is found inside is named."""
    check_source("source", source)
    with ExitStack() as stack:
        if hasattr(source, "readinto"):
            name = str(getattr(source, "name", "stream"))
            file = io.BufferedReader(source)
            stack.callback(file.detach)  # the caller's file stays open
        else:
            name = os.fsdecode(source)
            file = stack.enter_context(open(source, "rb"))
        head = file.read(_HEAD)
        file = io.BufferedReader(_Rejoined(head, file), 2**16)
        compression = next((kind for kind in _COMPRESSIONS if kind.begins.match(head)), None)
        if compression is None:
            yield name, file
            return
        file = io.BufferedReader(stack.enter_context(compression.open(file)), 2**16)
        try:
            yield name, file
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if getattr(error, "errno", None) is not None:  # the system's, about the file itself
                raise
            raise ValueError(f"{name}: damaged {compression.name} file: {error}") from error


class _Rejoined(io.RawIOBase):
    """A stream from its beginning, though its first bytes were read: a pipe cannot go back, and may give one at a time."""

    def __init__(self, head, rest):
        self._head, self._rest = head, rest

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._head:
            return self._rest.readinto(buffer)
        n = min(len(buffer), len(self._head))
        buffer[:n], self._head = self._head[:n], self._head[n:]
        return n


def _lines(name, file):
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE + 1), b""), start=1):
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
