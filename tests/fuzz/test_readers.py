"""Readers of data files: what was written is read, and of damaged files nothing comes but a ValueError or sound rows."""

import gzip
import io

import numpy as np
from fuzz import strategies as s
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax import datasets

FORMATS = ["svmlight", "xmc", "fasttext"]


@st.composite
def samples(draw):
    """Label lists and {index: value} of each sample."""
    rng = draw(s.rngs)
    n, d, k = (
        draw(st.integers(1, 8)),
        draw(st.sampled_from([1, 5, 1000, 2**31 - 1])),
        draw(st.sampled_from([1, 3, 10**6])),
    )
    labels = [np.unique(rng.integers(0, k, rng.integers(0, 3))).tolist() for _ in range(n)]
    labels[0] = labels[0] or [0]
    indices = [np.unique(rng.integers(0, d, rng.integers(0, 5))).tolist() for _ in range(n)]
    values = [
        rng.choice([1.0, -0.5, 1e-45, 3.4e38, 1e-320, 7e-7, 0.0, -123456.789], len(row)).tolist() for row in indices
    ]
    return labels, [dict(zip(*pair, strict=True)) for pair in zip(indices, values, strict=True)], d, k


def sparse_lines(labels, rows, blank):
    for names, row in zip(labels, rows, strict=True):
        pairs = [f"{index}:{value!r}" for index, value in row.items()]
        yield ",".join(map(str, names)) + "".join(blank + pair for pair in pairs)


def as_file(lines, end, compress):
    return io.BytesIO(compress(end.join(lines).encode() + end.encode()))


ends, compressions = st.sampled_from(["\n", "\r\n"]), st.sampled_from([bytes, gzip.compress])


def assert_same_rows(data, labels, rows):
    assert data.n_samples == len(rows)
    found = [part.tolist() for part in np.split(data.labels, data.label_starts[1:-1])]
    assert found == labels
    for row, at in zip(rows, data.X, strict=True):
        expected = {index: np.float32(value) for index, value in row.items()}
        assert dict(zip(at.indices.tolist(), at.data, strict=True)) == expected


@examples(60)
@given(samples=samples(), end=ends, compress=compressions, blank=st.sampled_from([" ", "  ", "\t"]))
def test_svmlight(samples, end, compress, blank):
    labels, rows, *_ = samples
    kept = [i for i in range(len(rows)) if labels[i] or rows[i]]  # an empty line is no row
    labels, rows = [labels[i] for i in kept], [rows[i] for i in kept]
    file = as_file(sparse_lines(labels, rows, blank), end, compress)
    assert_same_rows(datasets.read(file, "svmlight"), labels, rows)


@examples(60)
@given(samples=samples(), end=ends, compress=compressions)
def test_xmc(samples, end, compress):
    labels, rows, d, k = samples
    data = datasets.read(as_file([f"{len(rows)} {d} {k}", *sparse_lines(labels, rows, " ")], end, compress))
    assert data.format == "xmc" and data.X.shape == (len(rows), d)
    assert_same_rows(data, labels, rows)


words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)


@examples(60)
@given(st.lists(st.tuples(st.lists(words, max_size=3, unique=True), st.lists(words, max_size=4)), min_size=1, max_size=6),
       ends, compressions)  # fmt: skip
def test_fasttext(samples, end, compress):
    lines = [" ".join([*("__label__" + label for label in labels), *text]) for labels, text in samples]
    if not any(lines):
        return
    data = datasets.read(as_file(lines, end, compress), "fasttext")
    found = [part.tolist() for part in np.split(data.labels, data.label_starts[1:-1])]
    assert found == [labels for labels, _ in samples]
    assert [" ".join(text) for _, text in samples] == data.X


# -- damage --

PIECES = [b"", b"\n", b"\r", b" ", b":", b",", b"#", b"-", b"+", b".", b"e", b"nan", b"inf", b"1e999", b"9" * 30, b"\0",
          b"\xff", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xe2\x80\xa8", b"\x0b", b"__label__", b"__label__x", b"qid:1", b"1:2", b"0",
          b"\x1f\x8b", b"\xd9\xa3"]  # fmt: skip


@st.composite
def damaged(draw):
    """A file of one of the formats with pieces put in, cut out or in place of others; or any bytes at all."""
    labels, rows, d, k = draw(samples())
    header = [f"{len(rows)} {d} {k}"] if draw(st.booleans()) else []
    text = "\n".join([*header, *sparse_lines(labels, rows, " ")]).encode()
    text = draw(st.sampled_from([text, b"__label__a b c\n__label__b __label__c d\n\nno label\n"]))
    content = draw(st.sampled_from([text, text, gzip.compress(text), draw(st.binary(max_size=40))]))
    for _ in range(draw(st.integers(1, 4))):
        at, n = draw(st.integers(0, len(content))), draw(st.integers(0, 5))
        content = content[:at] + draw(st.sampled_from(PIECES)) + content[at + n :]
    return content


@examples(400)
@given(
    content=damaged(), format=st.sampled_from([None, *FORMATS]), n_features=st.sampled_from([None, 1, 10, 2**31 - 1])
)
def test_damaged_files_are_refused_or_read_soundly(content, format, n_features):
    try:
        data = datasets.read(io.BytesIO(content), format, n_features=n_features)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert data.label_starts[0] == 0 and data.label_starts[-1] == len(data.labels)
    assert (np.diff(data.label_starts) >= 0).all() and data.n_samples >= 1
    if data.format == "fasttext":
        assert len(data.X) == data.n_samples and all(isinstance(text, str) for text in data.X)
        return
    assert data.X.shape[0] == data.n_samples and data.X.has_canonical_format
    assert np.isfinite(data.X.data).all() and (data.X.indices >= 0).all()
    assert n_features is None or data.X.shape[1] == n_features


@examples(100)
@given(content=damaged())
def test_a_format_is_told_or_refused(content):
    try:
        assert datasets.detect_format(io.BytesIO(content)) in FORMATS
    except ValueError as error:
        assert "\n" not in str(error)
