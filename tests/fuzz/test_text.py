"""Texts as features: whole against parts, and what must hold for any text."""

import itertools

import numpy as np
import scipy.sparse as sp
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastsoftmax as fs
from fastsoftmax.text.text_vectorizer import TextVectorizer

texts = st.lists(
    st.text(st.characters(), max_size=30), min_size=1, max_size=8
)  # halves of surrogate pairs are among them


def assert_same_rows(X, other):
    assert X.shape == other.shape
    assert_array_equal(X.toarray(), other.toarray())


@examples(40)
@given(
    texts=texts,
    n_features=st.sampled_from([1, 7, 4096]),
    max_words=st.integers(1, 3),
    lowercase=st.booleans(),
    fits=st.booleans(),
    max_chars=st.sampled_from([0, 1, 3]),
    n_buckets=st.sampled_from([0, 1, 50]),
)
def test_vectorizer(texts, n_features, max_words, lowercase, fits, max_chars, n_buckets):
    vectorizer = TextVectorizer(n_features, max_words, lowercase, min_chars=1, max_chars=max_chars, n_buckets=n_buckets)
    X = vectorizer.fit_transform(texts) if fits else vectorizer.transform(texts)
    n_numbered = len(vectorizer.vocabulary_ or ())
    n_columns = n_numbered + n_buckets if n_numbered else n_features
    assert X.shape == (len(texts), n_columns) and X.dtype == np.float32 and X.has_canonical_format
    norms = np.sqrt(X.multiply(X).sum(axis=1))
    assert np.all((np.abs(norms - 1) < 1e-5) | (norms == 0))
    assert_array_equal(np.ravel(norms) > 0, [bool(text.split()) for text in texts])
    assert n_numbered <= n_features and (fits or vectorizer.vocabulary_ is None)
    assert_same_rows(sp.vstack([vectorizer.transform([text]) for text in texts]), X)
    assert_same_rows(TextVectorizer.from_dict(vectorizer.to_dict()).transform(texts), X)
    if lowercase:
        assert_same_rows(vectorizer.transform([text.lower() for text in texts]), X)


@st.composite
def corpora(draw):
    documents = draw(st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=6))
    starts = np.cumsum([0, *map(len, documents)])[:-1]
    return np.array([*itertools.chain.from_iterable(documents)], np.int64), starts, documents


def features(draw_hashed, order, places, boundary):
    return fs.NGramFeatures(order, places=places, n_hashed=draw_hashed, boundary=boundary)


@examples(40)
@given(
    corpus=corpora(),
    hashed=st.sampled_from([None, 1, 1000]),
    order=st.integers(1, 5),
    places=st.integers(0, 4),
    boundary=st.booleans(),
)
def test_ngram_features_of_a_document_do_not_depend_on_the_others(corpus, hashed, order, places, boundary):
    ids, starts, documents = corpus
    ngrams = features(hashed, order, places, boundary).fit(ids, starts)
    X = ngrams.transform(ids, starts)
    assert X.shape == (len(ids), ngrams.n_features_)
    parts = [ngrams.transform(np.array(document, np.int64), [0]) for document in documents if document]
    if parts:
        assert_same_rows(sp.vstack(parts), X)
    assert_same_rows(features(hashed, order, places, boundary).fit(ids, starts, block_rows=3).transform(ids, starts), X)


@examples(25)
@given(corpus=corpora(), order=st.integers(1, 4))
def test_kneser_ney_weights_begin_at_probabilities(corpus, order):
    """The bias is that of the unigrams, and pairs that were seen become more probable."""
    ids, starts, _ = corpus
    if not len(ids):
        return
    n_classes = int(ids.max()) + 2
    W, bias = fs.NGramFeatures(order).fit(ids, starts).kneser_ney(ids, starts, n_classes)
    np.testing.assert_allclose(np.exp(bias.astype(float)).sum(), 1, rtol=1e-5)
    assert W.shape[0] == n_classes and np.isfinite(W.data).all() and (W.data > 0).all()
