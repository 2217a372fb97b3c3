import bz2
import gzip
import io
import lzma
import os
import threading

import pytest

from fastsoftmax.text import lines
from fastsoftmax.text.datasets import detect_format, read

CONTENT = b"\xef\xbb\xbf1 2:3\n4 5:6\n" + b"7 8:9\n" * 1000
COMPRESSIONS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
each_compression = pytest.mark.parametrize("name", COMPRESSIONS)


class Trickle(io.RawIOBase):
    """A stream that cannot seek and gives a byte at a time, as a slow pipe can."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        byte = self._content.read(1)
        buffer[: len(byte)] = byte
        return len(byte)


@each_compression
@pytest.mark.parametrize("source", [io.BytesIO, Trickle])
def test_compressed(name, source):
    content = COMPRESSIONS[name](CONTENT)
    assert read(source(content)).n_samples == read(source(CONTENT)).n_samples == 1002
    assert detect_format(source(content)) == detect_format(source(CONTENT)) == "svmlight"


@each_compression
def test_compressed_in_several_members(name):
    compress = COMPRESSIONS[name]
    assert read(io.BytesIO(compress(b"1 2:3\n4 5") + compress(b":6\n") + compress(b""))).labels.tolist() == [1, 4]


@each_compression
def test_damaged(name):
    content = COMPRESSIONS[name](b"".join(b"%d %d:3\n" % (i, i * i) for i in range(2000)))
    for cut in (12, len(content) // 2, len(content) - 1):
        with pytest.raises(ValueError, match=f"stream: damaged {name} file"):
            read(io.BytesIO(content[:cut]), "svmlight")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0x55
    with pytest.raises(ValueError, match=f"damaged {name} file|line "):
        read(io.BytesIO(flipped), "svmlight")


def test_letters_of_bzip2_are_text():
    assert read(io.BytesIO(b"BZh9 __label__a x")).X == ["BZh9 x"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("compress", [bytes, *COMPRESSIONS.values()])
def test_named_pipe(tmp_path, compress):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(compress(CONTENT),))
    writer.start()
    assert read(path).n_samples == 1002
    writer.join()


def test_what_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        read(tmp_path)
    with open(tmp_path / "written", "wb") as file, pytest.raises(OSError, match="not readable"):
        read(file)
    closed = io.BytesIO(CONTENT)
    closed.close()
    with pytest.raises(ValueError, match="closed file"):
        read(closed)


def test_path_of_bytes(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"1 2\n")
    with pytest.raises(ValueError, match=rf"^{path}, line 1"):
        read(os.fsencode(path))


def test_a_line_without_end(monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    assert read(io.BytesIO(b"1 2:3" + b" " * 94 + b"\n")).n_samples == 1
    for compress in (bytes, gzip.compress):
        with pytest.raises(ValueError, match="line 2: longer than 100 bytes"):
            read(io.BytesIO(compress(b"1 2:3\n" + b" " * 1000)))


def test_a_million_blank_lines_take_little_memory():
    with io.BytesIO(b"\n" * 1_000_000 + b"1 2:3\n") as file:
        assert read(file).line_numbers.tolist() == [1_000_001]
