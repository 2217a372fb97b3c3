"""The reader of ARPA files against its slow twin: the same arrays to the bit, and the same errors."""

import bz2
import gzip
import io

import arpa_twin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsoftmax import NGramLanguageModel
from fastsoftmax.kernels import arpa_lines
from fastsoftmax.ngrams import arpa

BLOCKS = [1, 7, 100, 1 << 20]
# a word is any bytes but blanks: no UTF-8, what looks like a number, what only Unicode has for blanks
WORDS = [
    b"a",
    b"b",
    b"\xff",
    "\u3000".encode(),
    b"\xc2\xa0",
    b"\x1c",
    b"-1.5",
    b"\\2-grams:",
    b"\0",
    b"x" * 40,
    "ü".encode(),
]
LOGS = st.sampled_from(
    [b"-1", b"0", b"-0.0", b"-99", b"-1.2345678", b"-3e-05", b"-0.30102999566398120", b"-.5", b"-2."]
)
BACKOFFS = st.none() | LOGS | st.sampled_from([b"0.30103", b"+1", b"1e2", b"-inf", b"-1_0"])
GAPS = st.sampled_from([b" ", b"\t", b"  ", b"\t ", b"\x0b", b"\x0c", b"\r"])
ENDS = st.sampled_from([b"\n", b"\r\n", b" \n", b"\t\r\n"])


@st.composite
def files(draw):
    """The lines of a file without faults, and their ends."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True))
    special = draw(st.lists(st.sampled_from([b"<unk>", b"<s>", b"</s>"]), unique=True))
    sections = [draw(st.permutations([(word,) for word in [*words, *special]]))]
    for _ in range(draw(st.integers(0, 2))):
        longer = [(*ngram, word[0]) for ngram in sections[-1] for word in sections[0]]
        sections.append(draw(st.lists(st.sampled_from(longer), unique=True, max_size=12)) if longer else [])
    lines = [b"\\data\\"]
    lines += [b"ngram %d=%d" % (length, len(section)) for length, section in enumerate(sections, start=1)]
    for length, section in enumerate(sections, start=1):
        lines += [b"", b"\\%d-grams:" % length]
        for ngram in section:
            backoff = draw(BACKOFFS)
            fields = [draw(LOGS), *ngram] + ([] if backoff is None else [backoff])
            lines.append(draw(GAPS).join(fields))
    return [*lines, b"", b"\\end\\"], draw(ENDS)


def outcome(read, *args):
    """What a reader returns, or the message of its error."""
    try:
        tables, words = read(*args)
    except ValueError as error:
        return str(error)
    return [[None if a is None else (a.dtype.str, a.tobytes()) for a in table] for table in tables], words


def assert_same(content):
    expected = outcome(arpa_twin.read, io.BytesIO(content))
    for block in BLOCKS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(arpa, "BLOCK", block)
            assert outcome(arpa.read, io.BytesIO(content), False) == expected
    return expected


@settings(max_examples=150, deadline=None)
@given(files(), st.sampled_from([bytes, gzip.compress, bz2.compress]), st.booleans())
def test_files_without_faults(file, compress, ends):
    lines, end = file
    content = end.join(lines) + end * ends
    assert not isinstance(assert_same(compress(content)), str)


@settings(max_examples=300, deadline=None)
@given(files(), st.data())
def test_files_with_a_fault(file, data):
    """A line less, a line more, another line, or another word in one: what is said of it is the same."""
    lines, end = file
    place = data.draw(st.integers(0, len(lines) - 1))
    words = lines[place].split()
    other = st.sampled_from(
        [*WORDS, b"nan", b"inf", b"1", b"0x1", b"1e5", b"", b"-", b".", b"--1", b"\\end\\", b"-1 a b c d"]
    )
    kind = data.draw(st.sampled_from(["less", "more", "line", "word", "cut"]))
    if kind == "less":
        del lines[place]
    elif kind == "more":
        lines.insert(place, data.draw(st.sampled_from(lines) | other))
    elif kind == "line":
        lines[place] = data.draw(st.sampled_from(lines) | other)
    elif kind == "word" and words:
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(other)
        lines[place] = b" ".join(words)
    else:
        lines = lines[:place]
    assert_same(end.join(lines))


NUMBERS = (
    st.floats(allow_nan=False).map(repr)
    | st.floats(-1e3, 1e3).map("{:.7f}".format)
    | st.floats(-1e3, 1e3).map("{:.8g}".format)
    | st.decimals(-10, 10, places=15).map(str)
    | st.decimals(-10, 10, places=16).map(str)
    | st.text("0123456789.-+e_", max_size=20).filter(str.split)
)


@settings(max_examples=2000, deadline=None)
@given(NUMBERS)
def test_numbers_are_those_of_float(number):
    """To the bit: also of 15 and more digits, and with an exponent."""
    out = np.full(1, np.nan), np.full(1, np.nan), np.zeros((1, 1), np.int32)
    n, _, outcome = arpa_lines.read(b"-1 a " + number.encode(), 0, {b"a": 7}, False, *out)
    try:
        expected = float(number)
    except ValueError:
        assert (n, outcome) == (0, arpa_lines.NUMBER)
        return
    if expected == np.inf:
        assert (n, outcome) == (0, arpa_lines.RANGE)
        return
    assert (n, outcome, out[2][0, 0]) == (1, arpa_lines.DONE, 7)
    assert out[1].tobytes() == np.array([expected]).tobytes()


def test_a_line_that_is_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(arpa, "BLOCK", 64)
    word = "x" * 1000
    (tmp_path / "model").write_text(f"\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n-2 {word}\n\n\\end\\\n")
    model = NGramLanguageModel.load_arpa(tmp_path / "model")
    assert model.vocabulary[3:] == ["a", word] and model.word_scores(["a", word], bos=False, eos=False).tolist() == [
        -1,
        -2,
    ]


def test_lines_without_end(tmp_path, monkeypatch):
    """The line is named, in a compressed file and behind the first block too."""
    monkeypatch.setattr("fastsoftmax.text.lines.MAX_LINE", 100)
    monkeypatch.setattr(arpa, "BLOCK", 50)
    for compress in (bytes, gzip.compress):
        (tmp_path / "model").write_bytes(compress(b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n" + b" " * 101 + b"\n"))
        with pytest.raises(ValueError, match="model, line 6: longer than 100 bytes"):
            NGramLanguageModel.load_arpa(tmp_path / "model")


def test_marks_of_encodings(tmp_path):
    text = "\\data\\\nngram 1=1\n\n\\1-grams:\n-1 ü\n\n\\end\\\n"
    (tmp_path / "model").write_text(text, encoding="utf-8-sig")
    assert NGramLanguageModel.load_arpa(tmp_path / "model").vocabulary[3:] == ["ü"]
    (tmp_path / "model").write_text(text, encoding="utf-16")
    with pytest.raises(ValueError, match="byte order mark is that of UTF-16"):
        NGramLanguageModel.load_arpa(tmp_path / "model")
    (tmp_path / "model").write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(ValueError, match=r"line 1: an ARPA file begins with"):
        NGramLanguageModel.load_arpa(tmp_path / "model")


def test_a_section_that_says_it_is_huge_takes_no_memory(tmp_path):
    (tmp_path / "model").write_text(f"\\data\\\nngram 1={10**17}\n\n\\1-grams:\n-1 a\n\n\\end\\\n")
    with pytest.raises(ValueError, match=f"line 6: the section of 1-grams ends after 1, but .* says {10**17}"):
        NGramLanguageModel.load_arpa(tmp_path / "model")
    (tmp_path / "model").write_text(f"\\data\\\nngram 1={'9' * 5000}\n\n\\1-grams:\n-1 a\n\n\\end\\\n")
    with pytest.raises(ValueError, match=r"line 2: expected ngram 1=\.\.\."):
        NGramLanguageModel.load_arpa(tmp_path / "model")
