"""Pipelines that begin with texts, as ONNX: onnxruntime finds the words that scikit-learn finds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastsoftmax import SoftmaxClassifier, SoftmaxRegression

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from fastsoftmax.onnx import to_onnx  # noqa: E402

TEXTS = ["boil an egg", "bake the bread", "an egg for breakfast", "bread and butter", "A fresh EGG, boiled!"] * 6
TEXT_LABELS = ["egg", "bread", "egg", "bread", "egg"] * 6


def run(proto, X):
    """What onnxruntime makes of rows or texts."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"X": X})


@pytest.mark.parametrize("vectorizer", [CountVectorizer(), TfidfVectorizer(sublinear_tf=True)])
@pytest.mark.parametrize("params", [{}, {"direct": "sparse", "hidden_size": 4}, {"hidden_size": 4}])
def test_texts(vectorizer, params):
    model = make_pipeline(vectorizer, SoftmaxClassifier(max_iter=5, random_state=0, **params)).fit(TEXTS, TEXT_LABELS)
    texts = ["boil the egg", "Bread, and butter.", "nothing known", *TEXTS[:5]]
    for X in (None, texts, np.array(texts)):
        labels, log_proba = run(to_onnx(model, X, output="log_proba"), np.array(texts)[:, None])
        assert_array_equal(labels, model.predict(texts))
        assert_allclose(log_proba, model.predict_log_proba(texts), rtol=0, atol=1e-5)
    labels, _ = run(to_onnx(model, topk=2), np.array(texts)[:, None])
    assert_array_equal(labels, model[-1].predict_topk(model[:-1].transform(texts), 2)[0])


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 2)])
def test_words_are_those_that_scikit_learn_finds(ngrams):
    texts = [
        "été très chaud",
        "a hiver_2 a froid",
        "über-lang 日本 語",
        "I am x an egg",
        "один два",
        "x2 y² ½",
        "?!",
    ] * 4
    vectorizer = TfidfVectorizer(lowercase=False, ngram_range=ngrams)
    model = make_pipeline(vectorizer, SoftmaxRegression(C=10)).fit(texts, list("abcdefg") * 4)
    texts = [*texts, "été a froid", "chaud\tété\n", "日本an", "an \u0301 egg", "one known egg"]
    labels, log_proba = run(to_onnx(model, output="log_proba"), np.array(texts)[:, None])
    assert_allclose(log_proba, model.predict_log_proba(texts), rtol=0, atol=1e-5)
    assert_array_equal(labels, model.predict(texts))
    alone = np.array([["?"]])  # without a word
    assert_allclose(run(to_onnx(model), alone)[1], model.predict_proba(["?"]), rtol=0, atol=1e-6)


def test_patterns_of_words():
    texts, labels = ["AN egg", "the BREAD", "x-y"] * 4, list("ebx") * 4
    model = make_pipeline(CountVectorizer(token_pattern="[a-z]"), SoftmaxRegression(C=10)).fit(texts, labels)
    _, log_proba = run(to_onnx(model, output="log_proba"), np.array(texts)[:, None])
    assert_allclose(log_proba, model.predict_log_proba(texts), rtol=0, atol=1e-5)


def test_options_of_other_steps():
    model = make_pipeline(TfidfVectorizer(), SoftmaxClassifier(max_iter=5, random_state=0)).fit(TEXTS, TEXT_LABELS)
    text = np.array([["boil-egg"]])
    by_minus = to_onnx(model, output="log_proba", options={TfidfVectorizer: {"separators": [" ", "-"]}})
    by_blanks = to_onnx(model, output="log_proba", options={id(model[0]): {"separators": [" "]}})
    assert_allclose(run(by_minus, text)[1], model.predict_log_proba(["boil egg"]), rtol=0, atol=1e-5)
    assert_allclose(run(by_blanks, text)[1], model.predict_log_proba([""]), rtol=0, atol=1e-5)
    with pytest.raises(TypeError, match="classes or ids of steps as keys, got 'tfidfvectorizer'"):
        to_onnx(model, options={"tfidfvectorizer": {"separators": [" "]}})


def test_columns_of_a_table():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": TEXTS, "n": np.arange(len(TEXTS), dtype=np.float32) % 3})
    columns = ColumnTransformer([("words", TfidfVectorizer(), "text"), ("scaled", StandardScaler(), ["n"])])
    model = make_pipeline(columns, SoftmaxRegression(C=10)).fit(table, TEXT_LABELS)
    session = onnxruntime.InferenceSession(to_onnx(model, table, output="log_proba").SerializeToString())
    inputs = {"text": table[["text"]].to_numpy(), "n": table[["n"]].to_numpy()}
    labels, log_proba = session.run(None, inputs)
    assert_array_equal(labels, model.predict(table))
    assert_allclose(log_proba, model.predict_log_proba(table), rtol=0, atol=1e-5)


def test_stop_words_within_ngrams_are_refused():
    for options in ({"stop_words": "english"}, {"stop_words": ["the", "an"]}):
        model = make_pipeline(TfidfVectorizer(**options), SoftmaxRegression(C=10)).fit(TEXTS, TEXT_LABELS)
        _, log_proba = run(to_onnx(model, output="log_proba"), np.array(TEXTS)[:, None])
        assert_allclose(log_proba, model.predict_log_proba(TEXTS), rtol=0, atol=1e-5)
        model.set_params(tfidfvectorizer__ngram_range=(1, 2)).fit(TEXTS, TEXT_LABELS)
        with pytest.raises(ValueError, match=r"TfidfVectorizer cannot .* both stop_words and ngram_range=\(1, 2\)"):
            to_onnx(model)
