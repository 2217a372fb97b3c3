"""Subwords and buckets of a TextVectorizer, against fastText's definition of them written as loops."""

import json
import pickle

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from fastsoftmax import features
from fastsoftmax.text import pieces, vocabulary
from fastsoftmax.text.pieces import Pieces, subwords
from fastsoftmax.text.text_vectorizer import TextVectorizer

TEXTS = ["Boil an egg", "boiling eggs", "an apple", "", "naïve 猫 🙂 ."]


def fasttexts_subwords(word, minn, maxn):
    """`Dictionary::computeSubwords` of "<word>": runs of characters, but a boundary by itself is none."""
    marked, found = f"<{word}>", []
    for i in range(len(marked)):
        for n in range(1, maxn + 1):
            if i + n > len(marked):
                break
            if n >= minn and not (n == 1 and (i == 0 or i + n == len(marked))):
                found.append(marked[i : i + n])
    return found


@pytest.mark.parametrize("word", ["boil", "a", "egg", "naïve", "猫", "🙂", ".", "<", "x" * 30])
@pytest.mark.parametrize(("shortest", "longest"), [(3, 6), (1, 1), (1, 3), (2, 2), (5, 40)])
def test_subwords_are_fasttexts(word, shortest, longest):
    found = subwords(word, shortest, longest)
    assert sorted(found) == sorted(" " + piece for piece in fasttexts_subwords(word, shortest, longest))


def test_an_example():
    assert subwords("boil", 3, 3) == (" <bo", " boi", " oil", " il>")


def test_pieces_of_a_text():
    analyze = Pieces("unicode", True, 3, 3, 3)
    expected = ["an", "egg", ".", "an egg", "egg .", "an egg ."]
    expected += [" <an", " an>", " <eg", " egg", " gg>", " <.>"]
    assert analyze("An EGG.") == expected
    assert Pieces("unicode", True, 2, 3, 0)("An EGG.") == expected[:5]
    assert Pieces("unicode", False, 1, 3, 0)("An EGG.") == ["An", "EGG", "."]
    assert Pieces("runs", True, 1, 3, 0)("cafe\u0301") == ["cafe", "\u0301"]
    assert analyze("") == analyze(" \n") == []


@pytest.mark.parametrize("words", ["unicode", "runs"])
@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("max_words", [1, 2, 3])
def test_words_and_their_ngrams_are_those_without_subwords(words, lowercase, max_words):
    without = TextVectorizer(max_words=max_words, lowercase=lowercase, words=words)._counting().build_analyzer()
    for text in [*TEXTS, "A a-b  c\u0301d e_f 12, x"]:
        assert sorted(Pieces(words, lowercase, max_words, 3, 0)(text)) == sorted(without(text))


def test_a_subword_is_no_word_and_no_ngram():
    """Each kind has its own place, also where the characters are the same."""
    vectorizer = TextVectorizer(max_words=2, min_chars=1, max_chars=3).fit(["oil boil < a", "oil boil < a"])
    names = vectorizer.vocabulary_
    assert {"oil", " oil", "boil", "< a", " <a", "a", " a", "<", " <"} <= set(names)
    assert len(set(names)) == len(names) and names == sorted(names)
    assert [name for name in names if name.startswith(" ")] == sorted(
        {piece for word in ("oil", "boil", "<", "a") for piece in subwords(word, 1, 3)}
    )


def test_numbered_subwords_are_in_two_texts():
    vectorizer = TextVectorizer(max_words=1, max_chars=4)
    X = vectorizer.fit_transform(["boil", "boiling", "egg"])
    assert vectorizer.vocabulary_ == [" <bo", " <boi", " boi", " boil", " oil", "boil", "boiling", "egg"]
    np.testing.assert_allclose(X[0].toarray()[0], [*[1 / np.sqrt(6)] * 6, 0, 0], rtol=1e-6)
    assert X[2].nnz == 1
    new = vectorizer.transform(["boiler", "xyz"])  # a new word is told by what it is made of
    assert new[0].nnz == 5 and new[1].nnz == 0


@pytest.mark.parametrize("fits", [False, True])
def test_hashed_subwords(fits):
    """They are columns of the same hash as words."""
    hashing = HashingVectorizer(
        n_features=8, analyzer=Pieces("unicode", True, 2, 3, 4), alternate_sign=False, dtype=np.float32, lowercase=False
    )
    vectorizer = TextVectorizer(8, max_chars=4)
    X = vectorizer.fit_transform(TEXTS) if fits else vectorizer.transform(TEXTS)
    assert vectorizer.vocabulary_ is None and X.shape == (5, 8) and X[3].nnz == 0
    np.testing.assert_array_equal(X.toarray(), hashing.transform(TEXTS).toarray())


def by_hand(vectorizer, text):
    """The row of a text: counts of known words, and of all else by MurmurHash3."""
    row = np.zeros(vectorizer.n_columns_)
    analyze = vectorizer._pieces()
    places, words = {word: i for i, word in enumerate(vectorizer.vocabulary_)}, analyze.words(text)
    for word in set(words) & places.keys():
        row[places[word]] = words.count(word)
    hashing = HashingVectorizer(
        n_features=vectorizer.n_buckets, analyzer=analyze.others, norm=None, alternate_sign=False, lowercase=False
    )
    row[len(places) :] = hashing.transform([words]).toarray()[0]
    return row / (np.linalg.norm(row) or 1)


@pytest.mark.parametrize("block", [1, 2, 1024])
@pytest.mark.parametrize("parameters", [{"max_chars": 4}, {}, {"max_words": 1, "max_chars": 6, "lowercase": False}])
def test_words_are_numbered_and_all_else_is_hashed(parameters, block, monkeypatch):
    monkeypatch.setattr(pieces, "BLOCK", block)
    vectorizer = TextVectorizer(n_buckets=20, **parameters)
    X = vectorizer.fit_transform(TEXTS)
    assert all(" " not in name for name in vectorizer.vocabulary_)
    assert len(vectorizer.vocabulary_) == 10
    assert X.shape == (5, vectorizer.n_columns_) == (5, len(vectorizer.vocabulary_) + 20)
    assert X.dtype == np.float32 and X.has_canonical_format
    texts = [*TEXTS, "boiling boil boil unknown"]
    for text, row in zip(texts, vectorizer.transform(texts).toarray(), strict=True):
        np.testing.assert_allclose(row, by_hand(vectorizer, text), rtol=1e-5, atol=1e-7)


def test_words_beyond_the_limit_are_hashed_with_all_else():
    vectorizer = TextVectorizer(3, n_buckets=20).fit(TEXTS)
    assert vectorizer.vocabulary_ is None and vectorizer.n_columns_ == 3
    without = TextVectorizer(3)
    assert (vectorizer.transform(TEXTS) != without.transform(TEXTS)).nnz == 0
    assert TextVectorizer(n_buckets=20).transform(TEXTS).shape == (5, 2**18)


def test_no_texts_and_texts_without_words():
    vectorizer = TextVectorizer(n_buckets=20, max_chars=3).fit(TEXTS)
    assert vectorizer.transform([]).shape == (0, vectorizer.n_columns_)
    assert vectorizer.transform(["", " "]).nnz == 0
    assert TextVectorizer(n_buckets=20).fit(["", " "]).vocabulary_ is None


@pytest.mark.parametrize(
    "parameters", [{"max_chars": 4}, {"n_buckets": 20}, {"min_chars": 2, "max_chars": 2, "n_buckets": 7}]
)
@pytest.mark.parametrize("texts", [TEXTS, ["naïve 猫\ud800", "naïve"]])
def test_copies_and_files_keep_them(parameters, texts):
    vectorizer = TextVectorizer(**parameters).fit(texts)
    expected, values = vectorizer.transform(texts), vectorizer.to_dict()
    json.dumps({name: value for name, value in values.items() if name != "vocabulary"})
    assert {name: values[name] for name in parameters} == parameters
    for again in (TextVectorizer.from_dict(values), pickle.loads(pickle.dumps(vectorizer))):
        assert again.get_params() == vectorizer.get_params()
        assert (again.transform(texts) != expected).nnz == 0


def test_files_without_them_are_as_before():
    """So that earlier builds read them."""
    assert TextVectorizer().to_dict().keys() == {"n_features", "max_words", "lowercase", "words"}
    with pytest.raises(ValueError, match="parameters must be a dict made by"):
        TextVectorizer.from_dict(TextVectorizer().to_dict() | {"maxn": 3})
    damaged = TextVectorizer(n_buckets=5).fit(TEXTS).to_dict() | {"vocabulary": vocabulary.pack(["a", "b", "a"])}
    with pytest.raises(ValueError, match="Duplicate"):
        TextVectorizer.from_dict(damaged)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"min_chars": 0}, ValueError, "min_chars must be at least 1, got 0"),
        ({"max_chars": -1}, ValueError, "max_chars must be at least 0, got -1"),
        ({"max_chars": 2}, ValueError, r"max_chars must be 0, or at least min_chars \(3\), got 2"),
        ({"max_chars": 2.0}, TypeError, "max_chars must be an integer"),
        ({"n_buckets": -1}, ValueError, "n_buckets must be at least 0, got -1"),
        ({"n_buckets": None}, TypeError, "n_buckets must be an integer"),
    ],
)
def test_parameters_that_are_wrong(parameters, error, message):
    with pytest.raises(error, match=message):
        TextVectorizer(**parameters)
    with pytest.raises(error, match=message):
        TextVectorizer().set_params(**parameters)


def test_progress_counts_every_text():
    for vectorizer in (TextVectorizer(max_chars=4), TextVectorizer(n_buckets=5)):
        done = []
        vectorizer.fit(["some text"] * 1000, show=done.append).transform(["some text"] * 1000, show=done.append)
        assert sum(done) == 2000


def test_the_public_name():
    assert features.TextVectorizer is TextVectorizer
