"""Texts with next to nothing in them, contexts of nothing, and draws at the ends of what their options may be."""

import functools

import numpy as np
import pytest
from language_twin import sentences

from fastsoftmax import LanguageModel
from fastsoftmax.estimators.language_fitting import held_out
from fastsoftmax.language import sampling
from fastsoftmax.language.mixture import SMALLEST, Mixture
from fastsoftmax.language.texts import Text, read_new

TEXTS = {
    "two rare words": ["a", "b"],
    "an empty sentence": ["", "a"],
    "mostly empty": ["", "", "", "a", ""],
    "one word": ["a a a", "a a"] * 3,
    "unknown words alone": ["<unk> <unk>", "<unk>"],
    "one sentence is most of it": ["a b " * 200, *["a", "b", "a b", ""] * 4],
    "a document each": ["a b\nb", "b\na a", "b\nb\n"],
}


@functools.cache
def fitted():
    return LanguageModel(order=2, hidden_size=None, random_state=0).fit(sentences(60))


@pytest.mark.parametrize(
    "options", [{}, {"order": 1}, {"order": 20, "hidden_size": None}, {"min_count": 1, "cache": True}]
)
@pytest.mark.parametrize("name", TEXTS)
def test_texts_with_little_in_them(name, options):
    """There is a distribution over what words there are, and it is the same in texts and after contexts."""
    model = LanguageModel(**{"hidden_size": 2, "max_iter": 1, "random_state": 0} | options).fit(TEXTS[name])
    contexts = ["", "a", "never seen", "a b\n", "a a a a a a"]
    proba = model.predict_proba(contexts)
    assert proba.shape == (5, len(model.vocabulary_)) and proba.min() > 0
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    log_p = model.log_proba([["a", "b"]])
    expected = [proba[0, model._words.code("a")], proba[1, model._words.code("b")], model.predict_proba(["a b"])[0, 1]]
    np.testing.assert_allclose(log_p, np.log(expected), atol=1e-4)
    assert np.isfinite(model.perplexity(["never seen"])) and isinstance(model.complete("", 3), str)
    assert model.predict_topk([""], len(model.vocabulary_))[0].shape == (1, len(model.vocabulary_))


def test_words_are_numbers_of_python():
    """Whatever arrays the text is of, and as they are after loading."""
    text = [np.array([1, 2, 3]), np.array([2, 3], dtype=np.uint8)] * 5
    model = LanguageModel(order=2, hidden_size=None, random_state=0).fit(text)
    assert {type(word) for word in model.vocabulary_[2:]} == {int}
    assert [type(word) for word in model.complete([1], 2)] == [int, int]


def test_no_contexts():
    model, n = fitted(), len(fitted().vocabulary_)
    assert model.predict_proba([]).shape == (0, n) and model.predict_proba([""]).shape == (1, n)
    words, log_proba = model.predict_topk([], 3)
    assert words.shape == log_proba.shape == (0, 3)
    assert model.log_proba([]).shape == (0,)
    for call in (model.score, model.perplexity):
        with pytest.raises(ValueError, match="sentences must have at least one sentence, got an empty text"):
            call([])


def test_contexts_of_more_words_than_a_byte_counts():
    """After 150 words that are known together, the weights are those of contexts that are known well."""
    line = " ".join(f"w{i}" for i in range(150))
    model = LanguageModel(order=140, hidden_size=None, cache=False, min_count=1, random_state=0).fit([line] * 12)
    words = line.split()
    expected = [model.predict_proba([" ".join(words[:i])])[0, model._words.code(word)] for i, word in enumerate(words)]
    np.testing.assert_allclose(model.log_proba([line])[:-1], np.log(expected), atol=1e-4)


@pytest.mark.parametrize("gap", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_what_ends_a_line_in_a_document(gap, tmp_path):
    """A line feed, and nothing else that Python takes for a line end: files and contexts know no other."""
    document = f"a{gap}b\nc\r\n\nd{gap}\n"
    path = tmp_path / "text"
    path.write_bytes(document.encode())
    (of_file, words), (of_str, others) = read_new("sentences", path), read_new("sentences", [document])
    assert words == others == ["<unk>", "</s>", "a", "b", "c", "d"]
    for a, b in zip(of_file, of_str, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(of_str.lines) == 4


@pytest.mark.parametrize(
    "lengths", [[900, *[3] * 30], [*[3] * 20, 900, *[3] * 20], [*[3] * 30, 900], [300, 300, 300, *[5] * 20]]
)
def test_each_sentence_is_trained_on_or_held_out(lengths):
    """Once, though a single one may be longer than the blocks that are held out."""
    ends = np.cumsum(lengths)
    ids = np.arange(ends[-1], dtype=np.int32)  # which tell where each token stood
    for documents in ([0], np.append(0, ends[:-1])):
        train, out = held_out(Text(ids, np.append(0, ends[:-1]), np.asarray(documents)))
        assert sorted([*train.ids, *out.ids]) == ids.tolist()
        assert len(train.ids) and len(out.ids)


def test_words_of_no_probability(monkeypatch):
    """Their logarithms are those of the least number that `log_proba` returns, and nobody is warned."""
    model = fitted()
    n = len(model.vocabulary_)
    monkeypatch.setattr(Mixture, "of_context", lambda self, ids, n_in_line: np.eye(n)[5])
    words, log_proba = model.predict_topk(["w1"], 3)
    assert words[0].tolist() == [model.vocabulary_[5], "<unk>", "</s>"]
    np.testing.assert_allclose(log_proba[0], [0, np.log(SMALLEST), np.log(SMALLEST)])
    assert model.sample(["w1"], 3, n_tokens=1) == [[model.vocabulary_[5]]] * 3


PROBA = np.array([0.1, 0.2, 0.0, 0.3, 0.4])


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-20, 1e-3])
def test_temperatures_near_zero(temperature):
    """The most probable class is the only one, as at 0; where several are, they share."""
    rng = np.random.default_rng(0)
    assert {sampling.draw(PROBA, rng, temperature) for _ in range(50)} == {4}
    assert {sampling.draw(np.array([0.4, 0.2, 0.4]), rng, temperature) for _ in range(50)} == {0, 2}


@pytest.mark.parametrize("temperature", [1e20, 1e308])
def test_high_temperatures(temperature):
    """All that are possible are as likely; top_k and top_p take them by their own probabilities all the same."""
    rng = np.random.default_rng(0)
    counts = np.bincount([sampling.draw(PROBA, rng, temperature) for _ in range(2000)], minlength=5)
    np.testing.assert_allclose(counts / 2000, [0.25, 0.25, 0, 0.25, 0.25], atol=0.05)
    assert {sampling.draw(PROBA, rng, temperature, top_k=2) for _ in range(100)} == {3, 4}
    assert {sampling.draw(PROBA, rng, temperature, top_p=0.6) for _ in range(100)} == {1, 3, 4}


def test_top_k_and_top_p_at_their_ends():
    rng = np.random.default_rng(0)
    assert {sampling.draw(PROBA, rng, top_p=1.0) for _ in range(500)} == {0, 1, 3, 4}
    assert {sampling.draw(PROBA, rng, top_p=1e-300) for _ in range(50)} == {4}
    assert {sampling.draw(PROBA, rng, top_k=10**9) for _ in range(500)} == {0, 1, 3, 4}
    assert sampling.draw(np.ones(1), rng, 0.5, 3, 0.5) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": np.inf}, "temperature must be finite, got inf"),
        ({"temperature": np.nan}, "temperature must be finite, got nan"),
        ({"temperature": -0.1}, r"temperature must be at least 0, got -0\.1"),
        ({"top_p": 0.0}, r"top_p must be above 0, got 0\.0"),
        ({"top_p": 1.1}, r"top_p must be at most 1, got 1\.1"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"n_tokens": 0}, "n_tokens must be at least 1, got 0"),
    ],
)
def test_options_of_draws_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        fitted().sample("w1", **options)
