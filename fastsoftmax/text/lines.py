"""The numbered lines of a data file, plain or compressed, and errors that name them."""

import gzip
import io
import os
import zlib
from contextlib import ExitStack, contextmanager

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def open_lines(source):
    """The name of a file and its numbered lines, as bytes, decompressed if need be."""
    with ExitStack() as stack:
        if isinstance(source, io.TextIOBase):
            raise TypeError(f"source must be a path or a file open in binary mode, got {source!r}")
        if hasattr(source, "read"):
            name = str(getattr(source, "name", "stream"))
            file = io.BufferedReader(source)
            stack.callback(file.detach)  # the caller's file stays open
        else:
            name = os.fspath(source)
            file = stack.enter_context(open(source, "rb"))
        try:
            if file.peek(2)[:2] == GZIP_MAGIC:
                file = stack.enter_context(gzip.open(file))
            yield name, enumerate(file, start=1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name}: damaged gzip file: {error}") from error


def first_lines(name, lines):
    """The numbered lines up to the first that is neither blank nor a comment; ValueError if all are blank."""
    first = []
    for number, line in lines:
        first.append((number, line))
        if line.partition(b"#")[0].strip():
            break
    if not any(line.strip() for _, line in first):
        raise ValueError(f"{name}: empty file")
    return first


def line_error(name, number, fault):
    """A ValueError that says in which line of which file the fault is."""
    return ValueError(f"{name}, line {number}: {fault}")


def quoted(text):
    """Bytes of a file as an error message quotes them."""
    text = text.decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= 60 else text[:60] + "...")
