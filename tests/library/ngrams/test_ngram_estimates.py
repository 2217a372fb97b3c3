"""Estimates of n-gram models: by hand, and against the slow twin."""

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kneser_ney_twin import Twin

from fastsoftmax import NGramLanguageModel
from fastsoftmax.ngrams import counts as counts_module
from fastsoftmax.ngrams import tables as tables_module
from fastsoftmax.text import keys

FALLBACK = (0.5, 1.0, 1.5)
SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=9), min_size=1, max_size=12).filter(any)
PRUNE = st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 0, 1, 2), (0, 2)])


def entries(model):
    """The log10 of the probability and of the back-off of each n-gram, by its words."""
    out = {}
    for table, ngrams in zip(model._tables, tables_module.words_of_ngrams(model._tables), strict=True):
        words = [tuple(model.vocabulary[code] for code in ngram) for ngram in ngrams]
        out.update(zip(words, zip(table.log10_proba.tolist(), table.log10_backoff.tolist(), strict=True), strict=True))
    return out


def estimate(sentences, order, prune):
    prune = prune[:order]
    model = NGramLanguageModel.estimate(sentences, order, prune=prune, discount_fallback=FALLBACK)
    return model, Twin(sentences, order, prune + prune[-1:] * (order - len(prune)), FALLBACK)


def test_bigrams_by_hand():
    """Of "a b", "a", "a a": the bigrams a b, b </s>, a a: 1, a </s>: 2, <s> a: 3.

    Their discounts, with Y = 3 / (3 + 2), are 1 - 2 Y / 3 = 0.6, 2 - 3 Y = 0.2 and 3. The counts of the unigrams are the
    numbers of words before them: a 2 (<s>, a), b 1, </s> 2 of 5, which lose 1 + 0.5 + 1 by the discounts given; that half is
    divided among a, b, </s> and <unk>. After a, 0.6 + 0.6 + 0.2 of 4 are left over; after b, 0.6; after <s>, all.
    """
    model = NGramLanguageModel.estimate(["a b", "a", "a a"], 2, discount_fallback=FALLBACK)
    unigrams = {"<unk>": 0.125, "a": 1 / 5 + 0.125, "b": 0.5 / 5 + 0.125, "</s>": 1 / 5 + 0.125}
    expected = {(word,): (p, {"a": 0.35, "b": 0.6}.get(word, 1.0)) for word, p in unigrams.items()}
    expected |= {("<s>",): (0.0, 1.0), ("<s>", "a"): (unigrams["a"], 1.0)}
    expected |= {("a", "b"): (0.4 / 4 + 0.35 * unigrams["b"], 1.0), ("a", "a"): (0.4 / 4 + 0.35 * unigrams["a"], 1.0)}
    expected |= {("a", "</s>"): (1.8 / 4 + 0.35 * unigrams["</s>"], 1.0)}
    expected |= {("b", "</s>"): (0.4 + 0.6 * unigrams["</s>"], 1.0)}
    found = entries(model)
    assert found.keys() == expected.keys() and model.n_ngrams == (5, 5)
    for ngram, logs in found.items():
        np.testing.assert_allclose(10.0 ** np.array(logs), expected[ngram], rtol=1e-12, err_msg=str(ngram))
    assert model.vocabulary == ["<unk>", "<s>", "</s>", "a", "b"]
    np.testing.assert_allclose(model.discounts, [FALLBACK, (0.6, 0.2, 3)])


def test_pruned_bigrams_by_hand():
    """As above, but bigrams that occur once leave their whole counts to the unigrams."""
    model = NGramLanguageModel.estimate(["a b", "a", "a a"], 2, prune=(0, 1), discount_fallback=FALLBACK)
    found = entries(model)
    assert {ngram for ngram in found if len(ngram) == 2} == {("<s>", "a"), ("a", "</s>")}
    assert found["a",][1] == pytest.approx(np.log10(2.2 / 4))
    assert found["b",][1] == 0.0  # nothing is left of its context
    assert found["a", "</s>"][0] == pytest.approx(np.log10(1.8 / 4 + 2.2 / 4 * 0.325))


@settings(max_examples=150, deadline=None)
@given(SENTENCES, st.integers(1, 5), PRUNE)
def test_against_the_twin(sentences, order, prune):
    model, twin = estimate(sentences, order, prune)
    found = entries(model)
    kept = set().union(*twin.kept.values())
    assert found.keys() == kept | {("<unk>",), ("<s>",)}
    for n, row in enumerate(model.discounts, start=1):
        np.testing.assert_allclose(row, twin.discounts[n])
    for ngram, logs in found.items():
        proba = 0.0 if ngram == ("<s>",) else twin.proba(ngram[:-1], ngram[-1])
        np.testing.assert_allclose(10.0 ** np.array(logs), [proba, twin.backoff(ngram)], rtol=1e-9, err_msg=str(ngram))


@settings(max_examples=100, deadline=None)
@given(SENTENCES, st.integers(1, 4), PRUNE, st.lists(st.sampled_from("abcdX"), max_size=6), st.booleans())
def test_probabilities_of_next_words(sentences, order, prune, context, bos):
    """After any context they add up to 1, are the twin's, and `next_words` ranks them all."""
    model, twin = estimate(sentences, order, prune)
    vocabulary = sorted(set(model.vocabulary) - {"<s>", "</s>", "<unk>"})
    scores = {word: model.word_scores([*context, word], bos=bos, eos=False)[-1] for word in [*vocabulary, "<unk>"]}
    scores["</s>"] = model.word_scores(context, bos=bos)[-1]
    assert sum(10.0**score for score in scores.values()) == pytest.approx(1, rel=1e-9)
    history = tuple(word if word in vocabulary else "<unk>" for word in context)
    for word, score in scores.items():
        assert 10.0**score == pytest.approx(twin.proba(("<s>",) * bos + history, word), rel=1e-9)
    for k in (1, 2, len(scores)):
        words, log10_proba = model.next_words([context, " ".join(context)], k, bos=bos)
        assert words.shape == log10_proba.shape == (2, k) and (words[0] == words[1]).all()
        np.testing.assert_allclose(log10_proba[0], sorted(scores.values(), reverse=True)[:k], rtol=1e-9)
        np.testing.assert_allclose(log10_proba[0], [scores[word] for word in words[0]], rtol=1e-9)
        assert len(set(words[0])) == k


def test_discounts_are_of_counts_before_pruning():
    rng = np.random.default_rng(0)
    sentences = [[f"w{i}" for i in rng.zipf(1.4, 12) % 400] for _ in range(300)]
    whole, pruned = (NGramLanguageModel.estimate(sentences, 3, prune=prune) for prune in (0, (0, 0, 1)))
    np.testing.assert_array_equal(whole.discounts, pruned.discounts)
    assert whole.n_ngrams[:2] == pruned.n_ngrams[:2] and whole.n_ngrams[2] > pruned.n_ngrams[2]
    twin = Twin(sentences, 3, (0, 0, 1))
    for n, row in enumerate(whole.discounts, start=1):
        np.testing.assert_allclose(row, twin.discounts[n])


def test_keys_too_long_to_be_packed(monkeypatch):
    """Texts of hundreds of millions of words are sorted another way, with the same result."""
    rng = np.random.default_rng(1)
    sentences = [[f"w{i}" for i in rng.integers(0, 8, 7)] for _ in range(200)]
    expected = entries(NGramLanguageModel.estimate(sentences, 5, discount_fallback=FALLBACK))
    monkeypatch.setattr(counts_module, "PACKED_BITS", 0)
    monkeypatch.setattr(keys, "PACKED_BITS", 0)
    assert entries(NGramLanguageModel.estimate(sentences, 5, discount_fallback=FALLBACK)) == expected


def test_sources_of_sentences(tmp_path):
    """Files, streams, strings and lists of words are the same sentences; so is what separates words."""
    text = "a b  c\n\n b\ta \r\nc ü\0a a"
    plain, packed = tmp_path / "text", tmp_path / "text.gz"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    lists = [["a", "b", "c"], [], ["b", "a"], ("c", "ü", "a", "a")]
    expected = entries(NGramLanguageModel.estimate(lists, 3, discount_fallback=FALLBACK))
    sources = [plain, str(packed), io.BytesIO(text.encode()), text.split("\n"), np.array(text.split("\n")), iter(lists)]
    for source in [*sources, [plain], [io.BytesIO(text.encode())]]:
        assert entries(NGramLanguageModel.estimate(source, 3, discount_fallback=FALLBACK)) == expected
    twice = entries(NGramLanguageModel.estimate([plain, *lists], 3, discount_fallback=FALLBACK))
    assert twice == entries(NGramLanguageModel.estimate(lists + lists, 3, discount_fallback=FALLBACK))


def test_more_words_than_the_text_has():
    model = NGramLanguageModel.estimate(["a"], 20, discount_fallback=FALLBACK)
    assert model.n_ngrams == (4, 2, 1) + (0,) * 17
    assert model.score("a") == pytest.approx(
        NGramLanguageModel.estimate(["a"], 3, discount_fallback=FALLBACK).score("a")
    )


def test_words_that_are_no_utf8(tmp_path):
    (tmp_path / "text").write_bytes(b"a \xff b\xc3\xa9\n")
    model = NGramLanguageModel.estimate(tmp_path / "text", 2, discount_fallback=FALLBACK)
    assert model.vocabulary[3:] == ["a", "\udcff", "bé"]
    assert model.score("a \udcff") > model.score("a a")


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        (["a b"], {"order": 0}, "order must be at least 1, got 0"),
        (["a b"], {"prune": (0, 2, 1)}, "prune must not descend"),
        (["a b"], {"prune": (1, 1)}, "prune must begin with 0"),
        (["a b"], {"prune": ()}, "prune must have from 1 to order"),
        (["a b"], {"prune": (0, -1)}, "prune must be at least 0, got -1"),
        (["a b"], {"order": 2, "prune": (0, 0, 1)}, r"prune must have from 1 to order \(2\) thresholds"),
        (["a b"], {"discount_fallback": (0.5, 1)}, r"discount_fallback must be of shape \(3,\)"),
        (["a b"], {"discount_fallback": (0.5, 1, 4)}, "discount_fallback must be above 0 and at most 1, 2, 3"),
        (["a b"], {}, "discount_fallback must be given for this text: it has too few n-grams of 1 words"),
        ([], {}, "sentences must have at least one word"),
        (["", " "], {}, "sentences must have at least one word"),
        (["a", "b <s>"], {}, "sentences: the word <s> is the model's own and cannot be in a text in sentence 1"),
        (["</s>"], {}, "the word </s> is the model's own"),
        ([["<unk>"]], {}, "the word <unk> is the model's own"),
        ([["a", "b c"]], {}, "'b c' is no word: words are not empty and have no blanks in sentence 0"),
        ([["a", ""]], {}, "'' is no word"),
        ([["a\0"]], {}, "is no word"),
    ],
)
def test_wrong_values(sentences, options, message):
    with pytest.raises(ValueError, match=message):
        NGramLanguageModel.estimate(sentences, **options)


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        ([3], {}, "sentences must be str or list of words, got 3"),
        ([["a", 3]], {}, "sentences must hold words that are str, got 3"),
        ([b"a b"], {}, "sentences must be str or list of words, got b'a b'"),
        (3, {}, "sentences must be a path, a binary file or an iterable"),
        (["a"], {"prune": "01"}, "prune must be integers"),
        (["a"], {"order": 2.0}, "order must be an integer"),
    ],
)
def test_wrong_types(sentences, options, message):
    with pytest.raises(TypeError, match=message):
        NGramLanguageModel.estimate(sentences, **options)


def test_an_error_names_the_line_of_a_file(tmp_path):
    (tmp_path / "text").write_text("a b\nc <unk>\n")
    with pytest.raises(ValueError, match=r"text, line 2: the word <unk> is the model's own"):
        NGramLanguageModel.estimate(tmp_path / "text")
