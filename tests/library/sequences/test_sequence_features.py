"""The rows of SequenceFeatures against a twin of loops and dicts, whatever the options and whatever sequences are given as."""

import numpy as np
import pytest
from features_twin import Event, Twin, of_users
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax import NextItemModel, SequenceFeatures, SoftmaxClassifier
from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.sequences.kinds import LONGEST, LengthBuckets

SIDE = ("user", "category")

events = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 6), st.sampled_from("xyz")),
    min_size=1,
    max_size=30,
)
options = st.fixed_dictionaries(
    {
        "places": st.integers(0, 3),
        "decay": st.sampled_from([0, 0.5, 1]),
        "even": st.sampled_from([0, 0.5]),
        "max_length": st.sampled_from([1, 3, 50]),
        "min_count": st.sampled_from([1, 1, 2, 4]),
        "unit_length": st.booleans(),
        "ngrams": st.integers(1, 4),
        "half_life": st.sampled_from([None, 2.0]),
        "length_buckets": st.booleans(),
        "side": st.sampled_from([(), ("user",), ("category",), SIDE]),
    }
).filter(lambda p: (p["decay"] or p["half_life"] is None) and (p["places"] or p["even"] or p["decay"]))


def table(rows):
    return dict(zip(("user", "item", "time", "category"), map(list, zip(*rows, strict=True)), strict=True))


def sequences_of(rows):
    return of_users([(user, Event(item, time, {"user": user, "category": c})) for user, item, time, c in rows])


def as_dicts(features, X):
    """The elements of each row that are not zero, by the names of their columns."""
    names, dense = features.get_feature_names_out(), X.toarray()
    assert len(set(names)) == len(names) == features.n_features_ == X.shape[1] and X.dtype == np.float32
    assert X.has_canonical_format
    return [{names[j]: float(row[j]) for j in np.flatnonzero(row)} for row in dense]


def assert_rows(found, expected):
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-5)


@examples(150)
@given(learned=events, rows=events, params=options)
def test_rows_equal_the_twin(learned, rows, params):
    twin, features = Twin(sequences_of(learned), **params), SequenceFeatures(**params)
    if not twin.items:
        with pytest.raises(ValueError, match="min_count must be at most"):
            features.fit(table(learned))
        return
    features.fit(table(learned))
    assert features.items_.tolist() == sorted(twin.items)
    assert_rows(as_dicts(features, features.transform(table(rows))), twin.wholes(sequences_of(rows)))


@examples(100)
@given(
    learned=events,
    rows=events,
    params=options,
    reverses=st.booleans(),
    n_targets=st.integers(1, 4),
    decay=st.sampled_from([0.5, 1.0]),
)
def test_prefixes_equal_the_twin(learned, rows, params, reverses, n_targets, decay):
    params |= {"min_count": 1}
    twin, features = Twin(sequences_of(learned), **params), SequenceFeatures(**params).fit(table(learned))
    X, y = features.prefixes(table(rows), reverses=reverses, n_targets=n_targets, target_decay=decay)
    expected, masses = twin.prefixes(sequences_of(rows), reverses, n_targets, decay)
    assert_rows(as_dicts(features, X), expected)
    if n_targets == 1:
        assert y.tolist() == [item for row in masses for item in row]
        return
    assert y.shape == (len(masses), len(features.items_)) and y.has_canonical_format
    found = [{features.items_[j]: row[j] for j in np.flatnonzero(row)} for row in y.toarray()]
    assert_rows(found, masses)


@examples(60)
@given(rows=events, params=options, cut=st.integers(0, 3))
def test_whatever_sequences_are_given_as(rows, params, cut):
    """Lists, arrays, a table and a stream of either give the same columns and the same rows."""
    params |= {"half_life": None, "side": (), "min_count": 1}
    sequences = [[event.item for event in sequence] for sequence in sequences_of(rows)]
    lengths = [len(sequence) for sequence in sequences]
    arrays = np.concatenate(sequences), np.cumsum(lengths) - lengths
    expected = SequenceFeatures(**params).fit(sequences)
    X, y = expected.prefixes(sequences)
    users = sorted({user for user, *_ in rows})
    parts = [table([row for row in rows if row[0] == user]) for user in users]

    def streams():
        yield iter([sequences[:cut], sequences[cut:]])
        yield iter([[np.array(sequence) for sequence in sequences]])
        yield iter(parts)

    for given_as in (arrays, table(rows), iter(sequences), *streams()):
        features = SequenceFeatures(**params).fit(given_as)
        np.testing.assert_array_equal(features.get_feature_names_out(), expected.get_feature_names_out())
    for given_as in (arrays, table(rows), iter(sequences)):
        np.testing.assert_array_equal(expected.transform(given_as).toarray(), expected.transform(sequences).toarray())
    for stream in list(streams())[:2]:
        blocks = list(expected.prefixes(stream))
        np.testing.assert_array_equal(np.vstack([part.toarray() for part, _ in blocks]), X.toarray())
        assert [item for _, part in blocks for item in part.tolist()] == y.tolist()
    in_parts = SequenceFeatures(**params)
    for part in parts:
        in_parts.partial_fit(part)
    np.testing.assert_array_equal(in_parts.get_feature_names_out(), expected.get_feature_names_out())
    assert in_parts.partial_fit(iter(parts)).items_.tolist() == expected.items_.tolist()


def test_rows_do_not_depend_on_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [(f"u{rng.integers(4)}", f"i{rng.integers(9)}", int(rng.integers(99)), "x") for _ in range(60)]
    features = SequenceFeatures(half_life=5.0, ngrams=3, length_buckets=True, side=SIDE).fit(table(rows))
    X, _ = features.prefixes(table(rows))
    monkeypatch.setattr("fastsoftmax.sequences.features.BLOCK", 7)
    np.testing.assert_array_equal(features.prefixes(table(rows))[0].toarray(), X.toarray())


def test_more_columns_than_int32_has():
    features = SequenceFeatures(places=1000, unit_length=False)
    features.items_ = np.arange(2_200_000)
    X = features.rows(Sequences(np.full(1000, 7, np.int32), np.array([0, 1000])).wholes())
    assert X.indices[-1] == 7 + 1001 * 2_200_000 and X.indices.dtype == np.int64 and X.nnz == 1002
    Xs = features.rows(Sequences(np.full(1001, 7, np.int32), np.array([0, 1000, 1001])).wholes())
    np.testing.assert_array_equal(Xs[[0]].indices, X.indices)


def test_dates_count_in_seconds():
    times = np.array(["2024-05-01T00:00", "2024-05-01T01:00"], "M8[m]")
    events = {"user": [1, 1], "item": ["a", "b"], "time": times}
    params = {"places": 0, "even": 0, "decay": 1, "unit_length": False}
    features = SequenceFeatures(half_life=3600.0, **params).fit(events)
    assert features.transform(events).toarray().tolist() == [[0.5, 1.0]]
    events["time"] = [0, 3600]
    assert features.transform(events).toarray().tolist() == [[0.5, 1.0]]


def test_tables_of_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"user": ["v", "u", "u"], "item": [7, 5, 6], "time": pd.to_datetime(["2024-01-01", "2023-01-01", "2022-01-01"])}
    )
    frame["category"] = pd.Categorical(["x", "y", "x"])
    features = SequenceFeatures(places=1, side="category", half_life=86400.0).fit(frame)
    assert features.items_.tolist() == [5, 6, 7] and features.side_values_["category"].tolist() == ["x", "y"]
    names = features.get_feature_names_out()[features.transform(frame).toarray().argmax(axis=1)]
    assert names.tolist() == ["5", "7"]  # u's last event is the older one
    with pytest.raises(ValueError, match="half_life, which sequences of items tell nothing of"):
        SequenceFeatures(half_life=1.0).fit([[1, 2]])
    with pytest.raises(TypeError, match="not a table"):  # which the model cannot do yet
        NextItemModel().fit(frame)


def test_the_last_event_alone_where_there_is_no_bag():
    learned = {"user": [1, 1], "item": ["a", "b"], "category": ["x", "y"]}
    features = SequenceFeatures(places=0, even=0, decay=0, side="category", unit_length=False).fit(learned)
    for last, expected in (("x", [[0, 0, 1, 0]]), ("new", [[0, 0, 0, 0]])):
        X = features.transform({"user": [1, 1], "item": ["a", "b"], "category": ["y", last]})
        assert X.toarray().tolist() == expected and X.nnz == sum(expected[0])


def test_buckets_of_long_histories():
    buckets, names = LengthBuckets(), LengthBuckets().names([])
    assert len(names) == buckets.n_columns == len(set(names))
    assert names[-2:] == ["32768 to 65535 items", "65536 items or more"]
    features = SequenceFeatures(places=0, even=0, length_buckets=True, unit_length=False).fit([["a"]])
    for length in (0, 1, LONGEST - 1, LONGEST, 3 * LONGEST):
        row = features.transform([["a"] * length]).toarray()[0]
        assert np.flatnonzero(row[1:]).tolist() == [min(length.bit_length(), 17)]


def test_a_stream_counts_over_its_blocks():
    blocks = [[["a", "b"], ["c"]], [], [[], ["b", "a"]], [["c", "d", "c"]]]
    features = SequenceFeatures(min_count=2).fit(iter(blocks))
    assert features.items_.tolist() == ["a", "b", "c"]
    assert [X.shape[0] for X in features.transform(iter(blocks))] == [2, 0, 2, 1]
    assert SequenceFeatures(min_count=2).fit(iter([[["b", "b"]], [["a"]]])).items_.tolist() == ["b"]
    n_grams = SequenceFeatures(ngrams=2).partial_fit([["a", "b"]]).partial_fit([["a", "c"], ["a", "b"]])
    assert n_grams.get_feature_names_out()[-1] == "a then b"


def test_iterators_of_sequences_are_no_streams():
    sequences = [["a", "b"], ["b"]]
    X = SequenceFeatures().fit_transform(iter(sequences))
    np.testing.assert_array_equal(X.toarray(), SequenceFeatures().fit_transform(sequences).toarray())
    assert SequenceFeatures().fit(iter([[], ("a", "b")])).items_.tolist() == ["a", "b"]
    assert SequenceFeatures().fit(iter([np.array([1, 2]), np.array([3])])).items_.tolist() == [1, 2, 3]
    assert SequenceFeatures().fit(iter([[(1, 2), (3,)]])).items_.tolist() == [(1, 2), (3,)]  # tuples are items


def test_what_streams_cannot_do():
    with pytest.raises(TypeError, match="must not be a stream, which ends with `fit`"):
        SequenceFeatures().fit_transform(iter([[["a"]]]))
    with pytest.raises(ValueError, match="min_count must be 1 where n-grams are learned from a stream, got 2"):
        SequenceFeatures(ngrams=2, min_count=2).fit(iter([[["a"]]]))
    with pytest.raises(ValueError, match="must hold items, got a stream without any"):
        SequenceFeatures().fit(iter([[[]], [[], []]]))


def test_a_fit_that_fails_changes_nothing():
    features = SequenceFeatures(ngrams=2).partial_fit([["a", "b"]])
    with pytest.raises(TypeError):
        features.partial_fit(iter([[["c", "d"]], [[{"no label"}]]]))
    with pytest.raises(TypeError):
        features.partial_fit(iter([[["b", "a"]], [[{"no label"}]]]))
    assert features.partial_fit([["b", "a"], ["a", "b"]]).items_.tolist() == ["a", "b"]
    assert features.get_feature_names_out()[-2:].tolist() == ["b, 2 back", "a then b"]


@pytest.mark.parametrize(
    ("given_as", "params", "error", "message"),
    [
        ([["a"]], {"side": "user"}, ValueError, r"must be a table of events for side=\['user'\]"),
        ({"user": [1], "thing": [2]}, {}, ValueError, "must have a column 'item', got 'user', 'thing'"),
        ({"user": [1], "item": [2]}, {"half_life": 1}, ValueError, "must have a column 'time'"),
        ({"user": [1], "item": [2]}, {"side": ["shop"]}, ValueError, "must have a column 'shop'"),
        ({"user": [1], "item": [2], "shop": [1, 2]}, {"side": ["shop"]}, ValueError, "shop must be as many as users"),
        ({"user": [1], "item": [2], "shop": [None]}, {"side": ["shop"]}, ValueError, "shop must not hold missing"),
        ({"user": [1], "item": [2], "time": [np.inf]}, {"half_life": 1}, ValueError, "times must be finite, got inf"),
        ({"user": [], "item": []}, {}, ValueError, "must hold items"),
        ((np.arange(3), np.array([1])), {}, ValueError, "starts must begin with 0"),
        ([["a"]], {"side": 3}, TypeError, "side must be a list of the names of columns, got 3"),
        ([["a"]], {"side": ["user", "user"]}, ValueError, "side must hold different names"),
        ([["a"]], {"side": ["time"]}, ValueError, "side must hold different names, and neither 'item' nor 'time'"),
        ([["a"]], {"half_life": 0}, ValueError, "half_life must be above 0"),
        ([["a"]], {"half_life": 1, "decay": 0}, ValueError, "decay must be above 0 where half_life is 1"),
        ([["a"]], {"ngrams": 0}, ValueError, "ngrams must be at least 1"),
        ([["a"]], {"length_buckets": 1}, TypeError, "length_buckets must be True or False"),
    ],
)
def test_errors(given_as, params, error, message):
    with pytest.raises(error, match=message):
        SequenceFeatures(**params).fit(given_as)


@pytest.mark.parametrize("params", [{"n_targets": 0}, {"target_decay": 0}, {"target_decay": 1.5}, {"reverses": 1}])
def test_errors_of_prefixes(params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        SequenceFeatures().fit([["a", "b"]]).prefixes([["a", "b"]], **params)


def test_a_classifier_learns_later_items():
    sequences = [[f"i{(start + step) % 10}" for step in range(5)] for start in range(10)] * 20
    features = SequenceFeatures().fit(sequences)
    X, y = features.prefixes(sequences, n_targets=3, target_decay=0.5)
    model = SoftmaxClassifier(hidden_size=16, random_state=0).fit(X, y)
    codes, log_proba = model.predict_topk(features.transform([["i3"], ["i8"]]), 3)
    assert features.items_[codes].tolist() == [["i4", "i5", "i6"], ["i9", "i0", "i1"]]
    assert (np.diff(log_proba) < 0).all()


@pytest.mark.parametrize("items", ["abc", [0, 1, 2]], ids=["strings", "numbers"])
def test_arrays_and_starts_are_sequences_of_a_model(items):
    a, b, c = items
    sequences = [[a, b, c], [b, a]] * 5
    lengths = np.array([len(sequence) for sequence in sequences])
    arrays = np.concatenate(sequences), np.cumsum(lengths) - lengths
    a, b = (NextItemModel(hidden_size=4, random_state=0).fit(given_as) for given_as in (sequences, arrays))
    np.testing.assert_array_equal(a.predict_topk(sequences, 3)[1], b.predict_topk(arrays, 3)[1])
