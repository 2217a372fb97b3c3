import gzip
import io
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from fastsoftmax.text.datasets import detect_format, look_like_columns, read, targets


def read_bytes(content, format=None, **options):
    return read(io.BytesIO(content), format, **options)


def label_lists(dataset):
    return [part.tolist() for part in np.split(dataset.labels, dataset.label_starts[1:-1])]


def test_svmlight():
    dataset = read_bytes(b"# a file\n3 0:1.5 4:-2e-1 # a sample\n\n-1,+7,2.0 2:1\r\n5\n1:.5\n  8 1:2.\n")
    assert dataset.format == "svmlight"
    assert label_lists(dataset) == [[3], [-1, 7, 2], [5], [], [8]]
    assert dataset.labels.dtype == dataset.label_starts.dtype == np.int64
    expected = np.zeros((5, 5), dtype=np.float32)
    expected[[0, 0, 1, 3, 4], [0, 4, 2, 1, 1]] = [1.5, -0.2, 1, 0.5, 2]
    assert np.array_equal(dataset.X.toarray(), expected)
    assert dataset.X.dtype == np.float32
    assert dataset.X.indices.dtype == dataset.X.indptr.dtype == np.int32
    assert dataset.n_samples == 5
    assert dataset.n_unlabelled == 1


def test_xmc():
    dataset = read_bytes(b"5 4 3\n0,2 0:1 3:2\n 1:1\n\n2:3 3:4\n1\n\n")
    assert dataset.format == "xmc"
    assert label_lists(dataset) == [[0, 2], [], [], [], [1]]
    assert dataset.X.toarray().tolist() == [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 3, 4], [0, 0, 0, 0]]
    assert dataset.n_unlabelled == 3


def test_fasttext():
    text = "__label__a __label__b-c two  words\n__label__ü naïve # 1:2\n\nno label\nlabel __label__x inside"
    dataset = read_bytes(text.encode())
    assert dataset.format == "fasttext"
    assert label_lists(dataset) == [["a", "b-c"], ["ü"], [], [], ["x"]]
    assert dataset.X == ["two words", "naïve # 1:2", "", "no label", "label inside"]
    assert dataset.n_unlabelled == 2


def test_fasttext_without_labels():
    dataset = read_bytes(b"# 1:2\nwords", "fasttext")
    assert dataset.X == ["# 1:2", "words"]
    assert label_lists(dataset) == [[], []]
    assert dataset.labels.dtype.kind == "U"


def test_unsorted_indices_are_sorted():
    X = read_bytes(b"1 5:1 2:2 0:3\n2 0:7").X
    assert X.indices.tolist() == [0, 2, 5, 0]
    assert X.data.tolist() == [3, 2, 1, 7]


def test_the_same_index_in_different_rows_is_not_repeated():
    assert read_bytes(b"1 5:1\n2 5:1\n3\n4\n5 5:2").X.toarray()[:, 5].tolist() == [1, 1, 0, 0, 2]


@pytest.mark.parametrize("content", [b"1 0:1 7:2 9:3\n2 8:1\n3\n4 2:5\n", b"4 10 9\n1 0:1 7:2 9:3\n2 8:1\n3\n4 2:5\n"])
def test_features_beyond_n_features_are_ignored(content):
    dataset = read_bytes(content, n_features=7, extra_features="ignore")
    assert dataset.X.toarray().tolist() == [[1, 0, 0, 0, 0, 0, 0], [0] * 7, [0] * 7, [0, 0, 5, 0, 0, 0, 0]]
    assert label_lists(dataset) == [[1], [2], [3], [4]]
    assert dataset.n_ignored == 3 and dataset.X.dtype == np.float32
    assert dataset.X.indices.dtype == dataset.X.indptr.dtype == np.int32 and dataset.X.has_canonical_format
    wide = read_bytes(content, n_features=20, extra_features="ignore")
    assert wide.X.shape == (4, 20) and wide.n_ignored == 0 and wide.X.nnz == 5
    with pytest.raises(ValueError, match="line 1"):
        read_bytes(content, n_features=7)
    assert read_bytes(content, extra_features="ignore").X.shape == (4, 10)
    with pytest.raises(ValueError, match="extra_features must be one of 'error', 'ignore', got 'drop'"):
        read_bytes(content, extra_features="drop")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1 0:1 7:2", "2"], True),
        (["300 9 3", "0,1 2:3", ""], True),
        (["0:1"], True),
        (["2010", "7"], False),
        (["1 0:1", "a text"], False),
        (["meet at 10:30"], False),
        (["", ""], False),
        ([], False),
        (["\ud800 1:2"], False),
    ],
)
def test_texts_that_look_like_columns(texts, expected):
    assert look_like_columns(texts) == expected


def test_n_features_of_a_trained_model():
    assert read_bytes(b"1 2:1\n", n_features=10).X.shape == (1, 10)
    assert read_bytes(b"1 5 3\n1 2:1\n", n_features=10).X.shape == (1, 10)


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (b"1 2:3\n", "svmlight"),
        (b"\n# comment\n1,2 2:3\n", "svmlight"),
        (b"2:3\n", "svmlight"),
        (b"1 2 1\n0 1:2\n", "xmc"),
        (b"__label__x y\n", "fasttext"),
        (b"words __label__x 1:2\n", "fasttext"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_formats_are_detected(tmp_path, content, format, compress):
    path = tmp_path / "data"
    path.write_bytes(compress(content))
    assert detect_format(path) == format
    assert detect_format(str(path)) == format
    assert read(path).format == read(path, format).format == format


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
@pytest.mark.parametrize("format", [None, "svmlight", "xmc", "fasttext"])
def test_empty_file(tmp_path, content, format):
    path = tmp_path / "nothing.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"nothing\.txt: empty file"):
        read(path, format)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cat 1:2", "integer label.*'cat'"),
        ("1.5 1:2", "integer label.*'1.5'"),
        ("1, 1:2", "integer label.*'1,'"),
        ("1,,2 1:2", "integer label.*'1,,2'"),
        ("nan 1:2", "integer label.*'nan'"),
        ("99999999999999999999 1:2", "64 bits: '99999999999999999999 1:2'"),
        ("1e30 1:2", "64 bits: '1e30 1:2'"),
        ("9" * 5000 + " 1:2", "64 bits: '9999"),
        ("1 " + "9" * 5000 + ":2", "'1 9999"),
        ("1e9999 1:2", "integer label.*'1e9999'"),
        ("1.5e0 1:2", "integer label.*'1.5e0'"),
        ("1_0 1:2", "integer label.*'1_0'"),
        ("\u0661 1:2", "integer label"),
        ("1 , 1:2", "integer label.*'1 ,'"),
        ("1 2", "index:value.*'2'"),
        ("1 1:2 2", "index:value.*'2'"),
        ("1:2 3", "index:value.*'3'"),
        ("1 -1:2", "index of at least 0.*'-1:2'"),
        ("1 a:2", "'a:2'"),
        ("1 1.5:2", "'1.5:2'"),
        ("1 1:", "'1:'"),
        ("1 :2", "':2'"),
        ("1 1 :2", "'1'"),
        ("1 1: 2", "'1:'"),
        ("1 1:2:3 4", "'1:2:3'"),
        ("1 1:x", "'1:x'"),
        ("1 1:2x", "'1:2x'"),
        ("1 1:1_0", "'1:1_0'"),
        ("1 1:0x10", "'1:0x10'"),
        ("1 1:2,2:3", "'1:2,2:3'"),
        ("1 1:nan", "finite number, got '1:nan'"),
        ("1 1:-inf", "finite number, got '1:-inf'"),
        ("1 1:1e39", "value of index 1 is beyond float32"),
        ("1 1:1-2", "1-2"),
        ("1 1:.", "float"),
        ("1 99999999999999999999:2", "64 bits: '1 99999999999999999999:2'"),
        ("1 3:1 1:1 3:2", "index 3 is repeated"),
        ("1 1:\u0665", "index:value"),
        ("1 1:2\0", "index:value"),
    ],
)
@pytest.mark.parametrize("format", ["svmlight", "xmc"])
def test_malformed_lines_of_sparse_files(tmp_path, line, fault, format):
    path = tmp_path / "bad.txt"
    first = "2 9 9" if format == "xmc" else "# comment"
    path.write_text(f"{first}\n1 0:1 3:1\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"bad\.txt, line 3: .*{fault}"):
        read(path)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"1 0:1\n2 5:1\n", {"n_features": 5}, "line 2: index must be below 5, got 5"),
        (b"2 5 3\n1 0:1\n2 5:1\n", {}, "line 3: index must be below 5, got 5"),
        (b"2 5 3\n1 0:1\n2 5:1\n", {"n_features": 9}, "line 3: index must be below 5, got 5"),
        (b"2 5 3\n1 0:1\n2 4:1\n", {"n_features": 4}, "line 1: 5 features, more than n_features=4"),
        (b"2 5 3\n1 0:1\n1,3 4:1\n", {}, "line 3: label must be from 0 to 2, got 3"),
        (b"2 5 3\n\n-1 4:1\n", {}, "line 3: label must be from 0 to 2, got -1"),
        (b"2 5 3\n1 0:1\n2 4:1\n\n0 4:1\n", {}, "line 5: more rows than the 2 of the header"),
        (b"3 5 3\n1 0:1\n2 4:1\n", {}, "stream: 2 rows, 3 in the header"),
        (b"0 5 3\n", {}, "line 1: no samples"),
        (b"1 0:1\n", {"format": "xmc"}, "line 1: expected n_samples n_features n_labels, got '1 0:1'"),
        (b"# only a comment\n", {}, "no samples, only comments"),
        (b"2 %d 3\n1 0:1\n2 4:1\n" % 10**30, {}, "line 1: sizes must be below"),
        (b"%d 5 3\n1 0:1\n" % 10**17, {}, "stream: 1 rows, 100000000000000000 in the header"),
        (b"2 5 %s\n1 0:1\n" % (b"9" * 5000), {}, "line 1: sizes must be below"),
        (b"2 5 3\n1 0:1\n1 qid:3 1:2\n", {}, "line 3: expected index:value.*'qid:3'"),
        (b"1 %d:1\n" % (2**63 - 1), {}, "line 1: index must be below 9223372036854775807"),
        (b"some words\n", {}, "line 1: none of the formats svmlight, xmc, fasttext: 'some words'"),
        (b"\x00\xff" * 99, {}, "line 1: none of the formats"),
        (b"__label__a b\n\xff\n", {}, "line 2: not UTF-8"),
        (b"__label__a b\n__label__ b\n", {}, "line 2: a label is missing after __label__"),
        (gzip.compress(b"1 2:3\n" * 1000, mtime=0)[:-10], {}, "stream: damaged gzip file"),
        (b"\x1f\x8b not gzip", {}, "stream: damaged gzip file"),
        (b"1 2:3\n", {"format": "csv"}, "format must be one of .*'csv'"),
        (b"1 2:3\n", {"n_features": 0}, "n_features must be at least 1, got 0"),
        (b"1 2:3\n", {"n_features": 10**30}, "n_features must be at most 9223372036854775807"),
    ],
)
def test_bad_files(content, options, message):
    with pytest.raises(ValueError, match=message):
        read_bytes(content, **options)


def test_sources():
    file = io.BytesIO(b"1 2:3\n")
    read(file)
    assert not file.closed
    with tempfile.NamedTemporaryFile("w+") as text_file:
        for source in (io.StringIO("1 2:3\n"), text_file, 3, None):
            with pytest.raises(TypeError, match="binary mode"):
                read(source)
    with pytest.raises(FileNotFoundError):
        read("no such file")


values = st.floats(width=32, allow_nan=False, allow_infinity=False)
rows = st.tuples(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3), st.dictionaries(st.integers(0, 40), values, max_size=6)
).filter(any)


@given(st.lists(rows, min_size=1, max_size=8))
def test_svmlight_round_trip(samples):
    lines = [
        " ".join([",".join(map(str, labels)), *(f"{index}:{value!r}" for index, value in row.items())])
        for labels, row in samples
    ]
    dataset = read_bytes("\n".join(lines).encode(), "svmlight", n_features=41)
    assert label_lists(dataset) == [list(dict.fromkeys(labels)) for labels, _ in samples]
    expected = np.zeros((len(samples), 41), dtype=np.float32)
    for i, (_, row) in enumerate(samples):
        expected[i, list(row)] = list(row.values())
    assert np.array_equal(dataset.X.toarray(), expected)
    assert dataset.X.nnz == sum(len(row) for _, row in samples)


@pytest.mark.parametrize("multilabel", [False, True])
def test_against_scikit_learn(tmp_path, multilabel):
    rng = np.random.default_rng(0)
    X = csr_matrix(rng.standard_normal((50, 30)) * (rng.random((50, 30)) < 0.2))
    y = (rng.random((50, 8)) < 0.3).astype(int) if multilabel else rng.integers(-5, 5, size=50)
    path = str(tmp_path / "data.svm")
    dump_svmlight_file(X, y, path, multilabel=multilabel, comment="written by scikit-learn")
    expected_X, expected_y = load_svmlight_file(path, multilabel=True, dtype=np.float32, n_features=30, zero_based=True)
    dataset = read(path, n_features=30)
    assert (expected_X != dataset.X).nnz == 0
    assert label_lists(dataset) == [list(map(int, labels)) for labels in expected_y]


def test_targets_of_several_labels():
    labels, label_starts = np.array([7, 8, 5, 1, 2, 7, 4]), np.array([0, 2, 3, 3, 7])
    classes, y = targets(labels, label_starts)
    assert classes.tolist() == [1, 2, 4, 5, 7, 8]
    assert y.toarray().tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0], [0] * 6, [1, 1, 1, 0, 1, 0]]


def test_targets_of_labels_that_stand_twice():
    labels, label_starts = np.array(["b", "a", "b", "a", "a"]), np.array([0, 3, 5])
    before = label_starts.copy()
    classes, y = targets(labels, label_starts)
    assert classes.tolist() == ["a", "b"] and y.toarray().tolist() == [[1, 1], [1, 0]]
    classes, y = targets(labels[3:], np.array([0, 2]))
    assert classes.tolist() == ["a"] and y.tolist() == ["a"]
    assert label_starts.tolist() == before.tolist()


REPEATED = [b"4,4,9 1:1\n9 2:1\n", b"2 3 10\n4,4,9 1:1\n9 2:1\n", b"__label__4 __label__4 x __label__9\n__label__9 y\n"]


@pytest.mark.parametrize("text", REPEATED, ids=["svmlight", "xmc", "fasttext"])
def test_a_label_that_stands_twice_in_a_line_is_one(text):
    dataset = read(io.BytesIO(text))
    assert [list(map(int, labels)) for labels in label_lists(dataset)] == [[4, 9], [9]]


def test_labels_longer_than_64_characters_are_objects():
    for length, kind in ((64, "U"), (65, "O")):
        names = ["a", "b" * length, "a"]
        dataset = read(io.BytesIO("".join(f"__label__{name} x\n" for name in names).encode()))
        assert dataset.labels.dtype.kind == kind and dataset.labels.tolist() == names
        classes, y = targets(dataset.labels, dataset.label_starts)
        assert classes.dtype.kind == kind and classes.tolist() == names[:2] and y is dataset.labels


def test_targets_of_one_label_each():
    labels = np.array(["b", "a"])
    classes, y = targets(labels, np.array([0, 1, 2]))
    assert y is labels and classes.tolist() == ["a", "b"]


def test_targets_need_labels():
    with pytest.raises(ValueError, match="none of the 2 samples has one"):
        targets(np.array([], dtype=np.int64), np.array([0, 0, 0]))
