"""Blocks of a data file are the rows that `read` gives, and lines of a pipe are there when they are written."""

import io
import os

import numpy as np
import pytest

from fastsoftmax.text.blocks import open_blocks
from fastsoftmax.text.datasets import read, read_texts
from fastsoftmax.text.lines import EmptyFileError, in_chunks, open_arriving, open_lines

SVMLIGHT = b"\xef\xbb\xbf# first\n\n" + b"".join(
    b"%d,%d %d:1.5 %d:2\n\n" % (i, i + 1, i % 7, 7 + i % 3) for i in range(25)
)
XMC = b"9 12 30\n" + b"".join(b"%d %d:1\n\n" % (i, i) for i in range(5))[:-1]
TEXTS = b"".join(b"__label__l%d some text %d __label__x\n" % (i % 3, i) for i in range(11)) + b"\n\nlast"
FORMATS = pytest.mark.parametrize("content", [SVMLIGHT, XMC, TEXTS], ids=["svmlight", "xmc", "fasttext"])


def blocks(content, size, **options):
    with open_blocks(io.BytesIO(content), size=size, **options) as found:
        return list(found)


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("options", [{}, {"n_features": 8, "extra_features": "ignore"}, {"n_features": 99}], ids=str)
@FORMATS
def test_as_a_whole(content, options, size):
    expected, found = read(io.BytesIO(content), **options), blocks(content, size, **options)
    assert all(data.n_samples <= size and data.format == expected.format for data in found)
    assert sum(data.n_ignored for data in found) == expected.n_ignored
    assert np.concatenate([data.line_numbers for data in found]).tolist() == expected.line_numbers.tolist()
    assert np.concatenate([data.labels for data in found]).tolist() == expected.labels.tolist()
    sizes = np.concatenate([np.diff(data.label_starts) for data in found])
    assert sizes.tolist() == np.diff(expected.label_starts).tolist()
    if expected.format == "fasttext":
        assert [text for data in found for text in data.X] == expected.X
        return
    width = expected.X.shape[1]
    for data in found:
        data.X.resize(data.n_samples, max(width, data.X.shape[1]))
    np.testing.assert_array_equal(np.vstack([data.X.toarray() for data in found]), expected.X.toarray())


def test_blank_texts_count(content=b"\n \n"):
    assert [text for data in blocks(content, 1, format="fasttext") for text in data.X] == read_texts(
        io.BytesIO(content)
    ).X


def test_no_rows():
    assert blocks(b"", 5, format="fasttext") == []
    for content in (b"", b"\n\n"):
        with pytest.raises(EmptyFileError):
            blocks(content, 5)
    with pytest.raises(ValueError, match="no samples, only comments"):
        blocks(b"# one\n# two\n", 1, format="svmlight")
    with pytest.raises(ValueError, match="5 features, more than n_features=4"):
        blocks(b"1 5 2\n0 0:1\n", 1, n_features=4)
    with pytest.raises(ValueError, match=r"^extra_features must be"):
        blocks(b"1 5 2\n", 1, extra_features="drop")


@pytest.fixture
def pipe():
    """Both ends of a pipe: a binary file to read from, and what writes."""
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as other:
        yield file, other


def test_lines_of_a_pipe_are_there_when_they_are_written(pipe):
    file, other = pipe
    other.write(b"a\n")
    with open_arriving(file) as (_, lines, waits):
        assert next(lines) == b"a\n" and waits()
        other.write(b"b\nc\nd")
        assert next(lines) == b"b\n" and not waits()
        assert next(lines) == b"c\n" and waits()
        other.write(b"d\n")
        assert next(lines) == b"dd\n" and waits()
        other.close()
        assert list(lines) == []


def test_chunks_are_what_has_come(pipe):
    file, other = pipe
    other.write(b"a\nb\nc\n")
    with open_arriving(file) as (_, lines, waits):
        chunks = in_chunks(lines, waits, 2)
        assert [next(chunks) for _ in range(2)] == [[(1, b"a\n"), (2, b"b\n")], [(3, b"c\n")]]
        other.write(b"d\n")
        assert next(chunks) == [(4, b"d\n")]


def test_files_do_not_wait(tmp_path):
    (tmp_path / "file").write_bytes(b"a\nb\n")
    for source in (tmp_path / "file", io.BytesIO(b"a\nb\n")):
        with open_arriving(source) as (_, lines, waits):
            assert next(lines) == b"a\n" and not waits()
            assert list(lines) == [b"b\n"] and not waits()


def test_bytes_that_are_read_are_counted(tmp_path):
    shown = []
    (tmp_path / "file").write_bytes(b"7 1:1\n" * 50_000)
    assert read(tmp_path / "file", show=shown.append).n_samples == 50_000
    assert sum(shown) == 300_000 and len(shown) > 2
    with open_lines(io.BytesIO(b"a\n"), shown.append) as (_, lines):
        assert list(lines) == [b"a\n"] and shown[-1] == 2
