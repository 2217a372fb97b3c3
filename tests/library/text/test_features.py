import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from fastsoftmax.text.contexts import positions_in_file
from fastsoftmax.text.features import TextVectorizer, context_features


def context_features_one_by_one(ids, starts, n_classes, context):
    dense = np.zeros((len(ids), context * n_classes), dtype=np.float32)
    for i in range(len(ids)):
        start = max(s for s in starts if s <= i)
        for place in range(1, context + 1):
            if i - place >= start:
                dense[i, (place - 1) * n_classes + ids[i - place]] = 1
    return dense


@pytest.mark.parametrize("starts", [[0], [0, 1, 2, 11], [0, 5, 6, 7, 13, 29]])
@pytest.mark.parametrize("context", [1, 2, 6, 40])
def test_context_features(starts, context):
    ids = np.random.default_rng(0).integers(7, size=30).astype(np.int32)
    X = context_features(ids, np.array(starts), 7, context)
    assert np.array_equal(X.toarray(), context_features_one_by_one(ids, starts, 7, context))
    assert X.dtype == np.float32
    assert X.indices.dtype == X.indptr.dtype == np.int32
    assert csr_matrix((X.data, X.indices, X.indptr), shape=X.shape).has_sorted_indices


def test_context_features_of_many_columns_have_wide_indices():
    X = context_features(np.array([5, 2**30, 3], dtype=np.int32), [0], 2**30 + 1, 4)
    assert X.indices.dtype == np.int64
    assert X[2].indices.tolist() == [2**30, 2**30 + 1 + 5]


def test_no_tokens():
    X = context_features(np.empty(0, dtype=np.int32), [], 5, 2)
    assert X.shape == (0, 10)


def test_context_must_be_positive():
    with pytest.raises(ValueError, match="context must be at least 1, got 0"):
        context_features(np.zeros(3, dtype=np.int32), [0], 5, 0)
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        context_features([], [], 0, 1)


def test_context_is_bounded_by_the_columns_and_by_the_documents(monkeypatch):
    with pytest.raises(ValueError, match="context must be at most 1844674407370955161"):
        context_features([0, 1], [0], 5, 10**30)
    X = context_features([0, 1, 2], [0, 2], 5, 10**15)
    assert X.shape == (3, 5 * 10**15)
    assert X.indices.tolist() == [0]
    assert X.indptr.tolist() == [0, 0, 1, 1]
    monkeypatch.setattr("fastsoftmax.runtime.memory.available", lambda: 10**9)
    with pytest.raises(MemoryError, match=r"context_features needs .* GiB \(100000 tokens x 100000 places"):
        context_features(np.zeros(100_000, dtype=np.int8), [0], 1, 10**9)


def test_positions_in_file():
    assert positions_in_file(6, [0, 1, 4]).tolist() == [0, 0, 1, 2, 0, 1]


def test_text_features():
    vectorizer = TextVectorizer(n_features=2**16)
    X = vectorizer.transform(["red apple", "apple red", "Red   Apple", "red", "", "!"])
    assert X.shape == (6, 2**16)
    assert X.dtype == np.float32
    assert np.diff(X.indptr).tolist() == [3, 3, 3, 1, 0, 1]  # words and pairs of words
    rows = X.toarray()
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 1, 1, 1, 0, 1])
    assert np.array_equal(rows[0], rows[2])
    assert rows[0] @ rows[1] == pytest.approx(2 / 3)


def test_text_features_by_parameters():
    assert TextVectorizer(max_words=1).transform(["red apple"]).nnz == 2
    rows = TextVectorizer(lowercase=False).transform(["red", "Red"])
    assert not np.array_equal(rows[0].indices, rows[1].indices)


def test_vectorizer_from_json():
    vectorizer = TextVectorizer(n_features=1000, max_words=3, lowercase=False)
    again = TextVectorizer.from_dict(json.loads(json.dumps(vectorizer.to_dict())))
    texts = ["a b c d", "The quick brown fox"]
    assert (vectorizer.transform(texts) != again.transform(texts)).nnz == 0
    assert again.to_dict() == vectorizer.to_dict()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        (None, ValueError),
        ({}, ValueError),
        ({"n_features": 10, "max_words": 1, "lowercase": True, "more": 1}, ValueError),
        ({"n_features": 0, "max_words": 1, "lowercase": True}, ValueError),
        ({"n_features": 10, "max_words": "2", "lowercase": True}, TypeError),
        ({"n_features": 10, "max_words": 2, "lowercase": 1}, TypeError),
    ],
)
def test_bad_parameters(parameters, error):
    with pytest.raises(error):
        TextVectorizer.from_dict(parameters)
