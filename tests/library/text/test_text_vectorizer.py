"""The columns of a TextVectorizer: numbered by `fit`, or hashed."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.text import vocabulary
from fastsoftmax.text.text_vectorizer import TextVectorizer

TEXTS = ["Red apple", "red apple pie", "green pear"]


def same(X, Y):
    return X.shape == Y.shape and (X != Y).nnz == 0


def test_words_and_pairs_of_two_texts_are_numbered():
    vectorizer = TextVectorizer()
    X = vectorizer.fit_transform(TEXTS)
    assert vectorizer.vocabulary_ == ["apple", "green", "pear", "pie", "red", "red apple"]
    assert X.dtype == np.float32 and X.has_sorted_indices and X.shape == (3, vectorizer.n_columns_)
    third, half = np.float32(1 / np.sqrt(3)), 0.5
    expected = [[third, 0, 0, 0, third, third], [half, 0, 0, half, half, half], [0, 0.5**0.5, 0.5**0.5, 0, 0, 0]]
    np.testing.assert_allclose(X.toarray(), expected, rtol=1e-6)
    assert same(vectorizer.fit(TEXTS).transform(TEXTS), X)
    assert vectorizer.transform(["pear and red", "unknown"]).toarray()[1].sum() == 0


def test_a_pair_that_one_text_has_twice_has_no_column():
    assert TextVectorizer().fit(["a b a b", "c"]).vocabulary_ == ["a", "b", "c"]


def test_columns_do_not_depend_on_the_order_of_texts():
    assert TextVectorizer().fit(TEXTS[::-1]).vocabulary_ == TextVectorizer().fit(TEXTS).vocabulary_


@pytest.mark.parametrize(("n_features", "numbered"), [(6, True), (5, False)])
def test_more_than_n_features_are_hashed(n_features, numbered):
    vectorizer = TextVectorizer(n_features).fit(TEXTS)
    assert (vectorizer.vocabulary_ is not None) == numbered
    if not numbered:
        assert same(vectorizer.transform(TEXTS), TextVectorizer(n_features).transform(TEXTS))


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_without_a_word_there_is_nothing_to_number(texts):
    vectorizer = TextVectorizer(8).fit(texts)
    assert vectorizer.vocabulary_ is None
    assert vectorizer.transform(texts).shape == (len(texts), 8) and vectorizer.transform(texts).nnz == 0


def test_no_texts_for_a_vocabulary():
    assert TextVectorizer().fit(TEXTS).transform([]).shape == (0, 6)


def test_unfitted_it_hashes_as_scikit_learn_does():
    hashing = HashingVectorizer(
        n_features=2**18, ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", alternate_sign=False, dtype=np.float32
    )
    assert same(TextVectorizer().transform(TEXTS), hashing.transform(TEXTS))


@pytest.mark.parametrize("texts", [TEXTS, ["naïve 猫 🙂", "naïve 猫\ud800"]])
def test_the_vocabulary_in_a_dict(texts):
    vectorizer = TextVectorizer(100, max_words=3).fit(texts)
    values = vectorizer.to_dict()
    packed = values["vocabulary"]
    assert packed.dtype == np.uint8 and packed.ndim == 1
    json.dumps({name: value for name, value in values.items() if name != "vocabulary"})
    for again in (TextVectorizer.from_dict(values), pickle.loads(pickle.dumps(vectorizer)), copy.deepcopy(vectorizer)):
        assert again.vocabulary_ == vectorizer.vocabulary_
        assert same(again.transform(texts), vectorizer.transform(texts))


@pytest.mark.parametrize("ngrams", ["a\nb\na", b"a\n\xff", ["a", "b"], np.array(["a", "b"]), np.arange(3)])
def test_a_damaged_vocabulary(ngrams):
    if isinstance(ngrams, (str, bytes)):
        ngrams = np.frombuffer(ngrams.encode() if isinstance(ngrams, str) else ngrams, np.uint8)
    with pytest.raises(ValueError):
        TextVectorizer.from_dict(TextVectorizer().to_dict() | {"vocabulary": ngrams})


def test_no_text_is_read_in_vain_beyond_the_limit():
    texts = iter(["a b", "c d", "e", "f"])
    assert vocabulary.chosen(texts, str.split, 3) is None
    assert list(texts) == ["e", "f"]


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize("texts", ["one text", None, ["a", 3], [b"a"]])
def test_texts_are_a_list_of_str(method, texts):
    with pytest.raises(TypeError, match="texts must be a list of str, got"):
        getattr(TextVectorizer(), method)(texts)


@pytest.mark.filterwarnings("error")
def test_capitals_in_the_vocabulary_do_not_warn():
    assert TextVectorizer(lowercase=False).fit(TEXTS).vocabulary_[0] == "Red"
    assert TextVectorizer().fit(["\U0001d400"]).vocabulary_ == ["\U0001d400"]  # a capital without a small letter


@pytest.mark.parametrize("words", ["unicode", "runs"])
def test_halves_of_surrogate_pairs(words):
    texts = ["a \ud800 b", "a\udc00", "\udfff"]
    numbered = TextVectorizer(words=words).fit(texts)
    assert numbered.vocabulary_ == ["a", "b", "\ud800", "\udc00", "\udfff"]
    assert TextVectorizer.from_dict(numbered.to_dict()).vocabulary_ == numbered.vocabulary_
    hashed = TextVectorizer(words=words)
    assert same(hashed.transform(texts), hashed.transform(["a \ufffd b", "a\ufffd", "\ufffd"]))
    assert same(TextVectorizer(2, words=words).fit_transform(texts), TextVectorizer(2, words=words).transform(texts))


def test_the_methods_of_an_estimator():
    vectorizer = TextVectorizer(np.int64(100), max_words=3)
    parameters = {"n_features": 100, "max_words": 3, "lowercase": True, "words": "unicode"}
    assert vectorizer.get_params() == parameters | {"min_chars": 3, "max_chars": 0, "n_buckets": 0}
    assert repr(vectorizer) == "TextVectorizer(max_words=3, n_features=100)"
    check_is_fitted(vectorizer)  # it hashes
    vectorizer.fit(TEXTS)
    again = clone(vectorizer)
    assert again.get_params() == vectorizer.get_params()
    assert again.vocabulary_ is None and vectorizer.vocabulary_ is not None


def test_set_params():
    vectorizer = TextVectorizer().fit(TEXTS)
    assert vectorizer.set_params(max_words=2) is vectorizer and vectorizer.vocabulary_  # nothing has changed
    assert vectorizer.set_params(max_words=np.int64(1), n_features=8).vocabulary_ is None
    assert same(vectorizer.transform(TEXTS), TextVectorizer(8, max_words=1).transform(TEXTS))
    assert vectorizer.fit(TEXTS).vocabulary_ == ["apple", "green", "pear", "pie", "red"]
    for params, error in (
        ({"n_features": 0}, ValueError),
        ({"max_words": "2"}, TypeError),
        ({"words_": 1}, ValueError),
    ):
        with pytest.raises(error, match=next(iter(params))):
            vectorizer.set_params(**params)
        assert vectorizer.get_params()["n_features"] == 8 and len(vectorizer.vocabulary_) == 5


def test_a_search_over_its_parameters():
    texts, labels = ["not bad", "bad", "not good", "good"] * 6, [1, 0, 0, 1] * 6
    model = make_pipeline(TextVectorizer(100), SoftmaxClassifier(max_iter=50, random_state=0, n_threads=1))
    search = GridSearchCV(model, {"textvectorizer__max_words": [1, 2]}, cv=2).fit(texts, labels)
    assert search.best_params_ == {"textvectorizer__max_words": 2} and search.best_score_ == 1
    assert search.predict(["not bad", "bad"]).tolist() == [1, 0]
    assert clone(search.best_estimator_)[0].vocabulary_ is None


def test_in_a_column_transformer():
    frame = pd.DataFrame({"title": TEXTS, "price": [1.0, 2.0, 3.0]})
    columns = ColumnTransformer([("words", TextVectorizer(), "title")], remainder="passthrough")
    X = columns.fit_transform(frame)
    expected = TextVectorizer().fit_transform(TEXTS)
    np.testing.assert_array_equal(X[:, :-1], expected.toarray())
    assert X[:, -1].tolist() == [1, 2, 3]


def test_texts_by_name():
    vectorizer = TextVectorizer()
    assert same(vectorizer.fit_transform(texts=TEXTS), vectorizer.fit(texts=TEXTS).transform(texts=TEXTS))


def test_progress_counts_every_text():
    texts = [f"word{i % 7} word{i % 5}" for i in range(1000)]
    expected = TextVectorizer().fit_transform(texts)
    for vectorizer in (TextVectorizer(), TextVectorizer(n_features=8)):  # the second one hashes
        done = []
        vectorizer.fit(texts, show=done.append)
        assert sum(done) == (1000 if vectorizer.n_features > 8 else 0) and max(done, default=0) <= 256
        done.clear()
        rows = vectorizer.transform(texts, show=done.append)
        assert sum(done) == 1000
    assert same(TextVectorizer().fit(texts).transform(texts, show=done.append), expected) and rows.shape == (1000, 8)


def test_names_of_columns():
    vectorizer = TextVectorizer()
    X = vectorizer.fit_transform(TEXTS)
    names = vectorizer.get_feature_names_out()
    assert names.dtype == object and names.shape == (X.shape[1],) and names.tolist() == vectorizer.vocabulary_
    assert vectorizer.get_feature_names_out(["ignored"]).tolist() == names.tolist()
    hashed = TextVectorizer(4)
    assert hashed.get_feature_names_out().tolist() == [f"textvectorizer{i}" for i in range(4)]
    buckets = TextVectorizer(n_buckets=2).fit(TEXTS)
    assert buckets.get_feature_names_out().tolist() == [
        *["apple", "green", "pear", "pie", "red"],
        "bucket 0",
        "bucket 1",
    ]
    assert len(buckets.get_feature_names_out()) == buckets.n_columns_


def test_names_of_columns_in_pipelines_and_column_transformers():
    frame = pd.DataFrame({"title": TEXTS, "price": [1.0, 2.0, 3.0]})
    columns = ColumnTransformer([("words", TextVectorizer(max_words=1), "title")], remainder="passthrough").fit(frame)
    expected = [f"words__{word}" for word in ("apple", "green", "pear", "pie", "red")] + ["remainder__price"]
    assert columns.get_feature_names_out().tolist() == expected
    model = make_pipeline(TextVectorizer(), SelectKBest(chi2, k=2)).fit(TEXTS, [0, 0, 1])
    assert set(model.get_feature_names_out()) <= set(model[0].vocabulary_)


def test_containers_are_scikit_learns_for_texts():
    """Rows are sparse, and no table has so many columns: there is no `set_output`, as scikit-learn's vectorizers have none."""
    for kind in (TextVectorizer, HashingVectorizer, CountVectorizer):
        assert not hasattr(kind(), "set_output")
        tags = get_tags(kind()).input_tags
        assert tags.string and not tags.two_d_array
    with config_context(transform_output="pandas"):
        assert same(TextVectorizer().fit_transform(TEXTS), TextVectorizer().fit(TEXTS).transform(TEXTS))


@pytest.mark.filterwarnings("ignore:.* occurred during set_params")
@pytest.mark.parametrize(
    "check",
    [
        checks.check_estimator_cloneable,
        checks.check_estimator_repr,
        checks.check_estimator_tags_renamed,
        checks.check_valid_tag_types,
        checks.check_no_attributes_set_in_init,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_parameters_default_constructible,
        checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_that_need_no_numbers(check):
    """All others fit arrays of numbers, but for one, `check_do_not_raise_errors_in_init_or_set_params`.

    It asks that parameters are only checked by `fit`, which `transform` need not wait for here.
    """
    check("TextVectorizer", TextVectorizer())


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (pd.Series(["a", None], dtype="string"), "got <NA> at position 1"),
        (np.array(["a", np.nan], object), "got nan at position 1"),
        (pd.DataFrame({"title": ["a"]}), "got a table: give the column that holds the texts"),
        (np.array([["a"], ["b"]]), r"got array\(\['a'\], dtype='<U1'\) at position 0"),
    ],
)
def test_missing_texts_and_tables(method, texts, message):
    with pytest.raises(TypeError, match=f"texts must be a list of str, {message}"):
        getattr(TextVectorizer(), method)(texts)


@pytest.mark.parametrize("kind", [np.array, pd.Series, tuple, iter, lambda a: np.array(a, object)])
def test_collections_of_texts(kind):
    assert same(TextVectorizer().fit(kind(TEXTS)).transform(kind(TEXTS)), TextVectorizer().fit_transform(TEXTS))


def test_columns_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    assert same(TextVectorizer().fit_transform(pyarrow.array(TEXTS)), TextVectorizer().fit_transform(TEXTS))
