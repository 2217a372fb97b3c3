"""What separates, what ends a line and what a mark is, byte by byte, in each format of data files."""

import io
import sys
import unicodedata

import numpy as np
import pytest

from fastsoftmax.text.datasets import read

# All blanks, line ends and control characters of Unicode, and characters without a width that are none of them.
CHARACTERS = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if unicodedata.category(chr(code)) in ("Zs", "Zl", "Zp", "Cc") or code in (0x200B, 0x2060, 0xFEFF)
]
BLANKS = " \t\v\f\r"  # separate in each format
MARK = "\ufeff"


each_character = pytest.mark.parametrize("character", CHARACTERS, ids=[f"U+{ord(c):04X}" for c in CHARACTERS])


def read_bytes(content, format=None, **options):
    return read(io.BytesIO(content), format, **options)


def label_lists(dataset):
    return [part.tolist() for part in np.split(dataset.labels, dataset.label_starts[1:-1])]


@each_character
def test_fasttext(character):
    dataset = read_bytes(f"__label__a{character}__label__b x{character}y\n__label__c z\n".encode(), "fasttext")
    if character in BLANKS + "\0":
        assert label_lists(dataset) == [["a", "b"], ["c"]]
        assert dataset.X == ["x y", "z"]
    elif character == "\n":
        assert label_lists(dataset) == [["a"], ["b"], [], ["c"]]
        assert dataset.X == ["", "x", "y", "z"]
    else:
        assert label_lists(dataset) == [[f"a{character}__label__b"], ["c"]]
        first, second = dataset.X
        assert (first, second) == (f"x{character}y", "z")


@each_character
@pytest.mark.parametrize("format", ["svmlight", "xmc"])
def test_blanks_between_features(format, character):
    header = "1 9 9\n" if format == "xmc" else ""
    content = f"{header}1{character}2:3{character}4:5{character}\n".encode()
    if character in BLANKS:
        dataset = read_bytes(content, format)
        assert label_lists(dataset) == [[1]]
        assert dataset.X.indices.tolist() == [2, 4]
        return
    if character == "\n" and format == "svmlight":
        assert label_lists(read_bytes(content, format)) == [[1], [], []]
        return
    with pytest.raises(ValueError, match="more rows than" if character == "\n" else "expected index:value"):
        read_bytes(content, format)


@each_character
def test_blanks_in_labels(character):
    content = f"1,{character}2 3:4\n".encode()
    if character in BLANKS:
        assert label_lists(read_bytes(content)) == [[1, 2]]
    else:
        with pytest.raises(ValueError, match="line 1"):
            read_bytes(content, "svmlight")


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("__label__a __label__b x\n__label__c y\n", [["a", "b"], ["c"]]),
        ("1 1:2\n2 3:1\n", [[1], [2]]),
        ("1,2 1:2\n", [[1, 2]]),
        ("# comment\n2 3:1\n", [[2]]),
        ("1 4 2\n1 1:2\n", [[1]]),
    ],
)
def test_byte_order_mark(content, labels):
    assert label_lists(read_bytes((MARK + content).encode())) == labels
    with pytest.raises(ValueError, match="stream: its byte order mark is that of UTF-16: convert the file to UTF-8"):
        read_bytes(content.encode("utf-16"))
    for encoding in ("utf-16-be", "utf-32-le", "utf-32-be"):
        with pytest.raises(ValueError, match=f"that of {encoding[:6].upper()}"):
            read_bytes((MARK + content).encode(encoding))


def test_a_mark_is_one_only_at_the_beginning():
    with pytest.raises(ValueError, match="empty file"):
        read_bytes(MARK.encode())
    with pytest.raises(ValueError, match="line 2: a byte order mark inside the file hides a label"):
        read_bytes(f"__label__a x\n{MARK}__label__b y\n".encode())
    with pytest.raises(ValueError, match="line 2: expected an integer label"):
        read_bytes(f"1 2:3\n{MARK}1 2:3\n".encode())
    first, second = read_bytes(f"__label__a x{MARK}\n{MARK} y".encode()).X
    assert (first, second) == (f"x{MARK}", f"{MARK} y")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends(end, last):
    content = end.join(["1 2:3", "4 5:6", *([""] if last else [])])
    assert label_lists(read_bytes(content.encode())) == [[1], [4]]
    content = end.join(["__label__a x", "y", *([""] if last else [])])
    assert read_bytes(content.encode()).X == ["x", "y"]


def test_a_carriage_return_ends_no_line():
    assert label_lists(read_bytes(b"__label__a x\r__label__b y\r")) == [["a", "b"]]
    with pytest.raises(ValueError, match=r"expected index:value.*'4'"):
        read_bytes(b"1 2:3\r4 5:6\r", "svmlight")


def test_which_lines_are_samples():
    dataset = read_bytes(b"# comment\n\n1 0:1\n \t\r\n# another\n2 # without features\n\n 0:3\n\n")
    assert dataset.line_numbers.tolist() == [3, 6, 8]
    assert label_lists(dataset) == [[1], [2], []]
    assert read_bytes(b"3 4 5\n\n \n1 0:1\n\n\n").line_numbers.tolist() == [2, 3, 4]
    dataset = read_bytes(b"\n__label__a x\n\n \n")
    assert dataset.line_numbers.tolist() == [1, 2, 3, 4]
    assert dataset.line_numbers.dtype == np.int64
    assert dataset.X == ["", "x", "", ""]


def test_labels_as_people_write_them():
    dataset = read_bytes(
        b"545, 32 8:1 18:2  \n+1 8:1\n-1.0 8:1\n1e+05 8:1\n2.50e1,3 8:1\n3. ,\t4 8:1\n9007199254740993.0 8:1\n"
    )
    assert label_lists(dataset) == [[545, 32], [1], [-1], [100_000], [25, 3], [3, 4], [2**53 + 1]]


def test_queries_are_ignored():
    dataset = read_bytes(b"3 qid:1 1:2\n2 qid:-12 # qid:3\nqid:1 4:1\n1 qid:2\n")
    assert dataset.format == "svmlight"
    assert label_lists(dataset) == [[3], [2], [], [1]]
    assert dataset.X.indices.tolist() == [1, 4]
    for line in (b"1 qid:a 1:2", b"1 xqid:1 1:2", b"1 qid:1:2", b"1 qid: 1:2", b"1 1:2 qid:3", b"1 qid:1 qid:2 1:2"):
        with pytest.raises(ValueError, match="expected index:value"):
            read_bytes(line, "svmlight")


def test_a_query_alone_is_a_sample():
    dataset = read_bytes(b"1 1:2\nqid:3\n \n qid:4 # a comment\n# qid:5\n2 1:1\n")
    assert label_lists(dataset) == [[1], [], [], [2]]
    assert dataset.line_numbers.tolist() == [1, 2, 4, 6]
    assert dataset.X.toarray().tolist() == [[0, 2], [0, 0], [0, 0], [0, 1]]


@pytest.mark.parametrize("index", [2**31 - 2, 2**31 - 1, 2**31, 2**40, 2**63 - 2])
def test_large_indices(index):
    X = read_bytes(b"1 %d:2 0:1\n2 3:1\n" % index).X
    assert X.shape == (2, index + 1)
    assert X.indices.tolist() == [0, index, 3]
    assert X.indices.dtype == X.indptr.dtype == (np.int32 if index < 2**31 - 1 else np.int64)
    X = read_bytes(b"1 0:1\n", n_features=index + 1).X
    assert X.shape == (1, index + 1)
