"""Sequences and histories, and the rows that SequenceFeatures makes of them."""

import itertools
import types

import numpy as np
import pytest

from fastsoftmax import SequenceFeatures
from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.sequences.items import ItemIndex, encoded

SEQUENCES = [["a", "b", "c", "b"], [], ["c"], ["b", "a"]]


@pytest.fixture
def sequences():
    return Sequences(np.array([0, 1, 2, 1, 2, 1, 0], np.int32), np.array([0, 4, 4, 5, 7]))


def lists(histories):
    return [histories.ids[a : a + n].tolist() for a, n in zip(histories.begins, histories.lengths, strict=True)]


def test_prefixes(sequences):
    histories, items, sequence = sequences.prefixes()
    assert lists(histories) == [[0], [0, 1], [0, 1, 2], [1]]
    assert items.tolist() == [1, 2, 1, 0] and sequence.tolist() == [0, 0, 0, 3]


def test_wholes_parts_and_reverses(sequences):
    assert lists(sequences.wholes()) == [[0, 1, 2, 1], [], [2], [1, 0]]
    assert lists(sequences.part(1, 4).wholes()) == [[], [2], [1, 0]]
    assert lists(sequences.ends(2).wholes()) == [[2, 1], [], [2], [1, 0]]
    assert lists(sequences.reversed().wholes()) == [[1, 2, 1, 0], [], [2], [0, 1]]
    assert lists(sequences.part(2, 3).joined(sequences.part(3, 4)).wholes()) == [[2], [1, 0]]


def test_items_from_the_end(sequences):
    histories = sequences.wholes()
    assert histories.back(1).tolist() == [1, -1, 2, 0] and histories.back(3).tolist() == [1, -1, -1, -1]
    row, item, back = histories.entries(3)
    assert (row.tolist(), item.tolist(), back.tolist()) == ([0, 0, 0, 2, 3, 3], [1, 2, 1, 2, 0, 1], [0, 1, 2, 0, 0, 1])
    row, item, back = histories.distinct_entries(9, 3)
    assert (row.tolist(), item.tolist(), back.tolist()) == ([0, 0, 0, 2, 3, 3], [1, 2, 0, 2, 0, 1], [0, 1, 3, 0, 0, 1])


def test_rows_of_the_features():
    features = SequenceFeatures(places=1, decay=0.5, even=0, unit_length=False).fit(SEQUENCES)
    assert features.items_.tolist() == ["a", "b", "c"] and features.n_features_ == 6
    X = features.transform([["a", "b", "c", "b"], [], ["unknown", "c"]]).toarray()
    assert X.tolist() == [[0.125, 1.25, 0.5, 0, 1, 0], [0] * 6, [0, 0, 1, 0, 0, 1]]
    assert features.get_feature_names_out().tolist() == ["a", "b", "c", "a, 1 back", "b, 1 back", "c, 1 back"]
    X, y = features.prefixes(SEQUENCES)
    assert y.tolist() == ["b", "c", "b", "a"]
    np.testing.assert_array_equal(X.toarray()[1], [0.5, 1, 0, 0, 1, 0])


def test_the_even_bag():
    features = SequenceFeatures(places=1, decay=0, even=2, max_length=3, unit_length=False).fit(SEQUENCES)
    X = features.transform([["a", "b", "c", "b"], ["b"]]).toarray()
    third = np.float32(2 / np.sqrt(3))
    assert X.tolist() == [[0, 0, 0, 0, 2 * third, third, 0, 1, 0], [0, 0, 0, 0, 2, 0, 0, 1, 0]]
    assert features.get_feature_names_out().tolist()[3:7] == ["a, anywhere", "b, anywhere", "c, anywhere", "a, 1 back"]


def test_rows_have_length_one_or_none():
    X = SequenceFeatures().fit(SEQUENCES).transform(SEQUENCES)
    np.testing.assert_allclose(np.sqrt((X.toarray() ** 2).sum(axis=1)), [1, 0, 1, 1], rtol=1e-6)


def test_rare_items_have_no_columns():
    features = SequenceFeatures(min_count=3).fit(SEQUENCES)
    assert features.items_.tolist() == ["b"]
    assert features.transform([["a", "c"]]).nnz == 0


def test_partial_fit_adds_items():
    features = SequenceFeatures().partial_fit([["b"]]).partial_fit([["a", "c"]])
    assert features.items_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="min_count must be 1"):
        SequenceFeatures(min_count=2).partial_fit([["b"]])


def test_arrays_of_numbers_are_sequences():
    features = SequenceFeatures().fit([np.array([5, 7]), np.array([], int), np.array([5])])
    assert features.items_.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        ("abc", TypeError, "sequences must be an iterable of sequences"),
        (3, TypeError, "sequences must be an iterable of sequences"),
        (types.SimpleNamespace(columns=["user"]), TypeError, "not a table: fastsoftmax.sequences.events makes"),
        (["abc"], TypeError, "must hold sequences of items, got 'abc' at position 0"),
        ([["a"], {"b"}], TypeError, "at position 1"),
        ([["a"], 3], TypeError, "at position 1"),
        ([[], []], ValueError, "must hold items, got 2 sequences without any"),
        ([], ValueError, "must hold items, got 0 sequences"),
        ([["a", None]], ValueError, "sequences must not hold missing items, got None"),
        ([[1.5, float("nan")]], ValueError, "must not hold missing items, got nan"),
        ([np.array([1.5, np.nan])], ValueError, "must not hold missing items"),
        ([[["a"], ["b"]]], TypeError, r"got \['a'\] as an item"),
    ],
)
def test_what_are_no_sequences(sequences, error, message):
    with pytest.raises(error, match=message):
        SequenceFeatures().fit(sequences)


def test_arrays_of_several_kinds_keep_their_items():
    features = SequenceFeatures().fit([np.array([1, 2]), np.array(["a"])])
    assert set(features.items_.tolist()) == {1, 2, "a"}


def test_nothing_left():
    with pytest.raises(ValueError, match="min_count must be at most 3, the most often that an item occurs, got 9"):
        SequenceFeatures(min_count=9).fit(SEQUENCES)


def test_dates_stay_dates():
    days = np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]")
    features = SequenceFeatures().partial_fit([days[:1]]).partial_fit([days])
    assert features.items_.dtype.kind == "M" and features.items_.tolist() == days.tolist()


def test_blocks_of_rows(monkeypatch):
    fitted = SequenceFeatures().fit(SEQUENCES)
    expected = fitted.transform(SEQUENCES).toarray()
    monkeypatch.setattr("fastsoftmax.sequences.features.BLOCK", 3)
    np.testing.assert_array_equal(fitted.transform(SEQUENCES).toarray(), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"places": -1}, "places"), ({"decay": 1.5}, "decay"), ({"max_length": 0}, "max_length"), ({"min_count": 0}, "min_count"),
     ({"places": 0, "decay": 0, "even": 0}, "places must be at least 1"), ({"even": -1}, "even")],
)  # fmt: skip
def test_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        SequenceFeatures(**params).fit(SEQUENCES)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"places": 0},
        {"places": 5, "even": 0},
        {"decay": 0},
        {"decay": 0, "even": 0},
        {"max_length": 2},
        {"unit_length": False, "decay": 1},
    ],
    ids=str,
)
def test_the_row_of_one_history(params):
    features = SequenceFeatures(**params).fit(SEQUENCES)
    for items in ([], [0], [2, 2], [0, 1, 2, 1, 1, 0]):
        codes = Sequences(np.array(items, np.int32), np.array([0, len(items)]))
        expected = features.rows(codes.wholes())
        columns, values = features.row(items)
        assert columns.dtype == np.int32 and values.dtype == np.float32
        np.testing.assert_array_equal(columns, expected.indices)
        np.testing.assert_allclose(values, expected.data, rtol=1e-6)


@pytest.mark.parametrize(
    ("items", "sequences"),
    [
        (np.array([3, 5, 9]), [[5, 3, 4], [], (9,), np.array([3, 5]), [np.int64(9), np.int32(3)]]),
        (np.array([3, 5, 9], np.uint8), [[5], np.array([300, 3])]),
        (np.array(["a", "bc"]), [["bc", "d"], ["a\0"], np.array(["a", "b"]), [np.str_("a")]]),
        (np.array(["a", "b" * 90], object), [["b" * 90, "a"]]),
        (np.array([False, True]), [[True, False], [False]]),
        (np.fromiter([("a", 1), ("b", 2)], object, 2), [[("b", 2)], [("c", 2), ("a", 1)]]),
        (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), [[np.datetime64("2020-01-02")]]),
    ],
    ids=["integers", "bytes", "strings", "long strings", "bools", "tuples", "dates"],
)
def test_codes_of_single_sequences(items, sequences):
    index = ItemIndex(items)
    for given in (sequences, *([sequence] for sequence in sequences)):
        found = encoded(given, items, "histories")
        expected = [found.ids[a:b].tolist() for a, b in itertools.pairwise(found.indptr)]
        assert index.codes(given, "histories") == expected


def test_items_of_another_kind_have_no_codes():
    for items, sequence in ((np.array([1, 2]), ["1"]), (np.array(["a"]), [1]), (np.array(["a"]), [None])):
        with pytest.raises(ValueError, match="histories"):
            ItemIndex(items).codes([sequence], "histories")
    with pytest.raises(TypeError, match="histories must hold sequences of items, got 'a' at position 0"):
        ItemIndex(np.array(["a"])).codes(["a"], "histories")
