import pickle
import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from flat_options import flat_classifier
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, vstack
from sklearn.base import clone

from fastsoftmax import NGramFeatures

BOUNDARY = NGramFeatures.BOUNDARY
DOCUMENTS = st.lists(st.lists(st.sampled_from([0, 1, 2, 100]), max_size=12), max_size=6)
PARAMETERS = st.fixed_dictionaries(
    {
        "order": st.integers(1, 5),
        "places": st.integers(0, 4),
        "min_count": st.integers(1, 3),
        "boundary": st.booleans(),
    }
)


def joined(documents, dtype=np.int64):
    """`ids` and `starts`."""
    lengths = [len(document) for document in documents]
    return np.array([token for document in documents for token in document], dtype=dtype), np.cumsum([0, *lengths])[:-1]


def features_one_by_one(documents, order, places, boundary):
    """For each row its features as (kind, tokens as `describe` gives them); kinds and tokens compare as columns do."""
    rows = []
    for document in documents:
        padded = [BOUNDARY, *document] if boundary else document
        for i in range(int(boundary), len(padded)):
            together = range(1, max(order - 1, min(places, 1)) + 1)
            row = [((0, n), tuple(padded[i - n : i])) for n in together if n <= i]
            row += [((1, p), (padded[i - p], *[None] * (p - 1))) for p in range(2, places + 1) if p <= i]
            rows.append(row)
    return rows


def columns_one_by_one(rows, min_count):
    counts = Counter(feature for row in rows for feature in row)
    kept = [feature for feature in counts if counts[feature] >= min_count]
    return sorted(kept, key=lambda feature: (feature[0], [token for token in feature[1][::-1] if token is not None]))


def matrix_one_by_one(rows, columns):
    X = np.zeros((len(rows), len(columns)), dtype=np.float32)
    for i, row in enumerate(rows):
        for feature in row:
            if feature in columns:
                X[i, columns.index(feature)] = 1
    return X


def without_min_count(parameters):
    return {name: value for name, value in parameters.items() if name != "min_count"}


def assert_same(X, Y):
    assert X.shape == Y.shape
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(X, name), getattr(Y, name))


def assert_canonical(X):
    assert X.dtype == np.float32
    assert X.indices.dtype == X.indptr.dtype == np.int32
    assert csr_matrix((X.data, X.indices, X.indptr), shape=X.shape).has_canonical_format


@given(train=DOCUMENTS, test=DOCUMENTS, parameters=PARAMETERS)
def test_exact(train, test, parameters):
    features = NGramFeatures(**parameters)
    X = features.fit_transform(*joined(train))
    rows = features_one_by_one(train, **without_min_count(parameters))
    columns = columns_one_by_one(rows, parameters["min_count"])
    assert features.n_features_ == len(columns)
    assert [features.describe(column) for column in range(len(columns))] == [tokens for _, tokens in columns]
    assert np.array_equal(X.toarray(), matrix_one_by_one(rows, columns))
    assert_canonical(X)
    rows = features_one_by_one(test, **without_min_count(parameters))
    assert np.array_equal(features.transform(*joined(test)).toarray(), matrix_one_by_one(rows, columns))


@given(documents=DOCUMENTS, parameters=PARAMETERS, n_rows=st.integers(1, 20), at=st.integers(0, 6))
def test_ways_of_fitting_agree(documents, parameters, n_rows, at):
    ids, starts = joined(documents)
    features = NGramFeatures(**parameters)
    X = features.fit_transform(ids, starts)
    chunks = [joined(documents[:at]), joined(documents[at:])]
    fits = [
        NGramFeatures(**parameters).fit(ids, starts),
        NGramFeatures(**parameters).fit(ids, starts, block_rows=n_rows),
        NGramFeatures(**parameters).fit_chunks(chunks),
        NGramFeatures(**parameters).fit_chunks(lambda: (chunk for chunk in chunks)),
        pickle.loads(pickle.dumps(features)),
    ]
    for other in fits:
        assert_same(other.transform(ids, starts), X)
    assert_same(vstack([features.transform(*chunk) for chunk in chunks], "csr"), X)


@given(documents=DOCUMENTS, parameters=PARAMETERS, n_rows=st.integers(1, 20), n_hashed=st.none() | st.integers(1, 50))
def test_blocks(documents, parameters, n_rows, n_hashed):
    if n_hashed is not None:
        parameters |= {"min_count": 1, "n_hashed": n_hashed}
    ids, starts = joined(documents)
    features = NGramFeatures(**parameters)
    X = features.fit_transform(ids, starts)
    end = 0
    for rows, block in features.blocks(ids, starts, n_rows):
        assert (rows.start, rows.stop) == (end, min(end + n_rows, len(ids)))
        assert_same(block, X[rows])
        end = rows.stop
    assert end == len(ids)


def hashed_one_by_one(kind, tokens, n_hashed):
    together, place = kind[0] == 0, kind[1]
    state = 1 if together else place
    for token in [token for token in tokens[::-1] if token is not None]:
        state = (state * 0x9E3779B97F4A7C15 + token) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state % n_hashed


@given(documents=DOCUMENTS, parameters=PARAMETERS, n_hashed=st.integers(1, 20) | st.just(2**31 - 1))
def test_hashed(documents, parameters, n_hashed):
    parameters = without_min_count(parameters)
    features = NGramFeatures(**parameters, n_hashed=n_hashed)
    X = features.transform(*joined(documents))
    rows = features_one_by_one(documents, **parameters)
    assert X.shape == (len(rows), n_hashed)
    assert features.n_features_ == n_hashed
    for i, row in enumerate(rows):
        expected = Counter(hashed_one_by_one(*feature, n_hashed) for feature in row)
        assert dict(zip(X[i].indices.tolist(), X[i].data.tolist(), strict=True)) == expected
    assert_canonical(X)
    assert_same(pickle.loads(pickle.dumps(features)).fit(*joined(documents)).transform(*joined(documents)), X)
    assert_same(features.fit_chunks([joined(documents)]).fit_transform(*joined(documents)), X)


def test_hashed_columns_stay_the_same():
    X = NGramFeatures(order=3, places=2, n_hashed=2**20).transform([5, 7, 5], [0])
    assert [row.indices.tolist() for row in X] == [[338976], [426697, 639834, 821564], [134615, 472824, 595527]]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.uint64, np.int64])
def test_types_of_ids(dtype):
    top = min(np.iinfo(dtype).max, np.iinfo(np.int64).max)
    documents = [[top, 0, top, top], [0, 3, top]]
    features = NGramFeatures(order=4, places=2)
    X = features.fit_transform(*joined(documents, dtype))
    rows = features_one_by_one(documents, 4, 2, True)
    columns = columns_one_by_one(rows, 1)
    assert np.array_equal(X.toarray(), matrix_one_by_one(rows, columns))
    assert [features.describe(column) for column in range(X.shape[1])] == [tokens for _, tokens in columns]
    hashed = NGramFeatures(order=4, n_hashed=1000)
    small = [[3, 0, 3], [1]]
    assert_same(hashed.transform(*joined(small, dtype)), hashed.transform(*joined(small)))


def test_no_keys_overflow():
    """With 64-bit keys of whole n-grams, these would collide."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2**62, size=2000)
    features = NGramFeatures(order=9)
    X = features.fit_transform(np.concatenate([ids, ids]), [0, 2000])
    assert X.shape[1] == sum(2000 - n + 1 for n in range(1, 9))  # all tokens differ, so all n-grams do
    assert_same(X[:2000], X[2000:])


def test_order_one_has_no_features():
    features = NGramFeatures(order=1)
    assert features.fit_transform([1, 2, 3], [0]).shape == (3, 0)
    assert features.n_features_ == 0
    assert NGramFeatures(order=1, n_hashed=5).transform([1, 2, 3], [0]).nnz == 0


def test_order_one_with_places_is_one_hot_by_place():
    features = NGramFeatures(order=1, places=2, boundary=False)
    features.fit([4, 5, 6], [0])
    assert [features.describe(column) for column in range(features.n_features_)] == [(4,), (5,), (4, None)]


def test_no_and_one_token():
    for documents in ([], [[]], [[], []]):
        assert NGramFeatures().fit_transform(*joined(documents)).shape == (0, 0)
    features = NGramFeatures()
    assert features.fit_transform([7], [0]).toarray().tolist() == [[1]]
    assert features.describe(0) == (BOUNDARY,)
    assert NGramFeatures(boundary=False).fit_transform([7], [0]).shape == (1, 0)
    assert NGramFeatures().fit_chunks([]).transform([7], [0]).shape == (1, 0)


@settings(deadline=None)
@given(documents=DOCUMENTS, parameters=PARAMETERS, hashed=st.booleans(), block_rows=st.integers(1, 20))
def test_no_ngram_is_longer_than_a_document(documents, parameters, hashed, block_rows):
    """Any number beyond the longest document is the same as its length."""
    ids, starts = joined(documents)
    if hashed:
        parameters |= {"min_count": 1, "n_hashed": 50}
    longest = max(map(len, documents), default=0) + 1
    exact = NGramFeatures(**parameters | {"order": longest + 1, "places": longest})
    endless = NGramFeatures(**parameters | {"order": 10**18, "places": 10**18})
    X = exact.fit_transform(ids, starts)
    assert_same(endless.fit_transform(ids, starts), X)
    assert_same(endless.fit(ids, starts, block_rows=block_rows).transform(ids, starts), X)
    assert_same(endless.fit_chunks([(ids, starts)]).transform(ids, starts), X)
    assert_same(vstack([block for _, block in endless.blocks(ids, starts, block_rows)] or [X], "csr"), X)
    if not hashed:
        (W, bias), (exact_W, exact_bias) = (each.kneser_ney(ids, starts, 101) for each in (endless, exact))
        assert_same(W, exact_W)
        assert np.array_equal(bias, exact_bias)


def test_levels_end_where_no_ngram_is_frequent():
    ids = np.random.default_rng(0).integers(1000, size=100_000)
    features = NGramFeatures(order=10**9, min_count=2).fit(ids, [0])
    assert 2 <= max(len(features.describe(column)) for column in (0, features.n_features_ - 1)) <= 6


def test_features_that_do_not_fit_are_refused_before_the_work(monkeypatch):
    monkeypatch.setattr("fastsoftmax.runtime.memory.available", lambda: 10**9)
    ids = np.zeros(1_000_000, dtype=np.int8)
    for features in (NGramFeatures(order=10**9), NGramFeatures(order=10**9, n_hashed=5)):
        with pytest.raises(MemoryError, match=r"NGramFeatures needs .* GiB \(1000000 rows x 1000000 kinds"):
            features.fit_transform(ids, [0])


def test_input_stays_as_it_is():
    ids, starts = np.array([3, 1, 2, 1]), np.array([0, 2])
    ids.flags.writeable = starts.flags.writeable = False
    features = NGramFeatures(order=3, boundary=False, places=3)
    assert_same(features.fit_transform(ids, starts), features.transform(ids, starts))
    assert ids.tolist() == [3, 1, 2, 1]


def test_memory_of_fit_is_that_of_a_block_and_of_distinct_ngrams():
    ids = np.random.default_rng(0).integers(30, size=200_000).astype(np.int32)
    features = NGramFeatures(order=3)
    tracemalloc.start()
    try:
        features.fit(ids, [0], block_rows=2000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert features.n_features_ == 31 + 900 + 1
    assert peak < 2000 * (70 + 2 * 8) * 2 + 901 * 80  # two blocks: one ends when the next is there


def test_training_by_blocks():
    """A text where the last two tokens tell the next, and the last alone does not."""
    ids, starts = np.tile([0, 1, 2, 0, 2, 1], 200), [0, 600]
    features = NGramFeatures(order=3, min_count=2).fit(ids, starts)
    model = flat_classifier(direct="dense", hidden_size=None, loss="softmax", learning_rate=0.5, random_state=0)
    for _ in range(5):
        for rows, X in features.blocks(ids, starts, 500):
            model.partial_fit(X, ids[rows], classes=[0, 1, 2])
    assert model.score(features.transform(ids, starts), ids) > 0.99


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"order": 0}, ValueError, "order must be at least 1, got 0"),
        ({"order": 2.5}, TypeError, "order must be an integer, got 2.5"),
        ({"places": -1}, ValueError, "places must be at least 0, got -1"),
        ({"min_count": 0}, ValueError, "min_count must be at least 1, got 0"),
        ({"n_hashed": 0}, ValueError, "n_hashed must be at least 1, got 0"),
        ({"n_hashed": 2**31}, ValueError, "n_hashed must be at most 2147483647"),
        ({"n_hashed": 9, "min_count": 2}, ValueError, "min_count must be 1 with n_hashed.*got 2"),
        ({"boundary": 1}, TypeError, "boundary must be True or False, got 1"),
    ],
)
def test_bad_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        NGramFeatures(**parameters)


@pytest.mark.parametrize(
    ("ids", "starts", "error", "message"),
    [
        ([1.0, 2.0], [0], TypeError, "ids must hold integers, got an array of float64"),
        (["a"], [0], TypeError, "ids must hold integers"),
        ([[1, 2]], [0], ValueError, "ids must have one dimension, got shape (1, 2)"),
        ([3, -1], [0], ValueError, "ids must not be negative, got -1 at position 1"),
        (np.array([2**63], dtype=np.uint64), [0], ValueError, "ids must be below 2**63, got 9223372036854775808"),
        ([1, 2], [0.0], TypeError, "starts must hold integers, got an array of float64"),
        ([1, 2], 0, ValueError, "starts must have one dimension"),
        ([1, 2], [], ValueError, "starts must begin with 0, got no starts"),
        ([1, 2], [1], ValueError, "starts must begin with 0, got 1"),
        ([1, 2, 3], [0, 2, 1], ValueError, "starts must not descend, got 1 at position 2 after 2"),
        ([1, 2], [0, 3], ValueError, "starts must be from 0 to the number of tokens (2), got [0, 3]"),
        ([], [-1], ValueError, "starts must be from 0 to the number of tokens (0), got [-1, -1]"),
    ],
)
def test_bad_data(ids, starts, error, message):
    fitted = NGramFeatures().fit([1], [0])
    for call in (
        fitted.fit,
        fitted.fit_transform,
        fitted.transform,
        fitted.blocks,
        lambda *chunk: fitted.fit_chunks([chunk]),
        NGramFeatures(n_hashed=5).fit,
        NGramFeatures(n_hashed=5).transform,
    ):
        with pytest.raises(error, match=re.escape(message)):
            call(ids, starts)
    assert fitted.n_features_ == 1  # a fit that fails leaves the one before


def test_bad_chunks():
    features = NGramFeatures()
    with pytest.raises(TypeError, match="chunks must be a list or a function that returns an iterator"):
        features.fit_chunks(iter([([1], [0])]))
    with pytest.raises(TypeError, match=r"chunks must be a list or a function that returns an iterator.*got 3"):
        features.fit_chunks(3)
    with pytest.raises(TypeError, match=r"chunks must give pairs \(ids, starts\), got array"):
        features.fit_chunks([np.array([1, 2])])
    once = iter([([1, 2], [0])])
    with pytest.raises(ValueError, match="chunks must give the same tokens each time, got 2 and then 0"):
        features.fit_chunks(lambda: once)


def test_bad_sizes_of_blocks():
    features = NGramFeatures().fit([1], [0])
    with pytest.raises(ValueError, match="n_rows must be at least 1, got 0"):
        features.blocks([1], [0], 0)
    with pytest.raises(ValueError, match="block_rows must be at least 1, got 0"):
        features.fit([1], [0], block_rows=0)


def test_not_fitted():
    features = NGramFeatures()
    for call in (features.transform, features.blocks):
        with pytest.raises(AttributeError, match="not fitted"):
            call([1], [0])
    with pytest.raises(AttributeError, match="not fitted"):
        features.describe(0)
    assert not hasattr(features, "n_features_")


def test_bad_columns():
    features = NGramFeatures().fit([1, 2], [0])
    with pytest.raises(ValueError, match="column must be at most 2, got 3"):
        features.describe(3)
    with pytest.raises(ValueError, match="n_hashed must be None to describe columns, got 5"):
        NGramFeatures(n_hashed=5).describe(0)


def test_the_methods_of_an_estimator():
    ids, starts = [1, 2, 3, 1, 2], [0]
    features = NGramFeatures(order=np.int64(4), places=2).fit(ids, starts)
    assert features.get_params() == {"order": 4, "places": 2, "min_count": 1, "n_hashed": None, "boundary": True}
    assert repr(features) == "NGramFeatures(order=4, places=2)"
    with pytest.raises(AttributeError, match="not fitted"):
        clone(features).transform(ids, starts)
    assert features.set_params(order=4).transform(ids, starts).nnz  # nothing has changed
    with pytest.raises(ValueError, match="min_count must be 1 with n_hashed"):
        features.set_params(min_count=2, n_hashed=5)
    assert features.transform(ids, starts).nnz
    with pytest.raises(AttributeError, match="not fitted"):
        features.set_params(order=2).transform(ids, starts)
    assert features.fit(ids, starts).n_features_ == NGramFeatures(order=2, places=2).fit(ids, starts).n_features_


@pytest.mark.parametrize("boundary", [True, False])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_columns_after_tokens_are_those_of_a_row(order, boundary):
    rng = np.random.default_rng(0)
    ids = rng.integers(5, size=200)
    features = NGramFeatures(order, min_count=2, boundary=boundary).fit(ids, [0, 50, 60])
    for n in (0, 1, 2, 3, 4, 5, 6, 20):
        for _ in range(5):
            context = rng.integers(7, size=n)  # two tokens are new
            assert (
                features.columns_after(context) == features.transform(np.append(context, 0), [0])[[-1]].indices.tolist()
            )
    again = NGramFeatures.from_tables(features.tables(), order=order, min_count=2, boundary=boundary)
    assert again.columns_after(ids[:20]) == features.columns_after(ids[:20])
    assert (again.transform(ids, [0]) != features.transform(ids, [0])).nnz == 0
