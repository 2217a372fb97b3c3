"""N-gram models of next to nothing: what they say is a distribution all the same, and files hold it."""

import numpy as np
import pytest
from kneser_ney_twin import Twin

from fastsoftmax import NGramLanguageModel

FALLBACK = (0.5, 1.0, 1.5)
TEXTS = {
    "one word": ["a"],
    "one sentence": ["a b a c"],
    "mostly empty": ["", "a", "", ""],
    "one word often": ["a a a a", "a"],
}


def probabilities(model, context, **options):
    """Those of all words after a context."""
    words = [word for word in model.vocabulary if word not in ("<s>", "</s>")]
    scores = [model.word_scores([*context, word], eos=False, **options)[-1] for word in words]
    return dict(
        zip([*words, "</s>"], 10.0 ** np.array([*scores, model.word_scores(context, **options)[-1]]), strict=True)
    )


@pytest.mark.parametrize("prune", [0, (0, 10**9), (0, 0, 10**9)], ids=["all", "words alone", "bigrams alone"])
@pytest.mark.parametrize("order", [1, 2, 3, 9])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_small_texts(text, order, prune, tmp_path):
    """Of any order, with all that is longer than words left out too."""
    prune = prune if prune == 0 else prune[:order]
    model = NGramLanguageModel.estimate(text, order, prune=prune, discount_fallback=FALLBACK)
    thresholds = (0,) + (0,) * (order - 1) if prune == 0 else (*prune, *prune[-1:] * (order - len(prune)))
    twin = Twin([sentence.split() for sentence in text], order, thresholds, FALLBACK)
    model.save_arpa(tmp_path / "model")
    loaded = NGramLanguageModel.load_arpa(tmp_path / "model")
    assert loaded.n_ngrams == model.n_ngrams and len(loaded.n_ngrams) == order
    for context in ([], ["a"], ["never", "seen"], ["a", "a", "a", "b"]):
        expected = probabilities(model, context)
        assert sum(expected.values()) == pytest.approx(1, rel=1e-9)
        history = ("<s>", *(word if word in model.vocabulary else "<unk>" for word in context))
        for word, proba in expected.items():
            assert proba == pytest.approx(twin.proba(history, word), rel=1e-9)
        for one in (model, loaded):
            words, scores = one.next_words([context], len(expected))
            assert sorted(words[0]) == sorted(expected)
            np.testing.assert_allclose(10.0 ** scores[0], [expected[word] for word in words[0]], rtol=1e-5)


def test_unknown_words_alone():
    model = NGramLanguageModel.estimate(["a b", "b a"], 2, discount_fallback=FALLBACK)
    unknown = probabilities(model, [], bos=False)["<unk>"]
    assert unknown > 0
    np.testing.assert_allclose(model.word_scores("x y z", bos=False, eos=False), np.log10(unknown))
    assert model.perplexity(["x y", "z"]) == pytest.approx(
        10 ** -np.concatenate([model.word_scores("x y"), model.word_scores("z")]).mean()
    )


def test_a_word_may_be_a_model_of_its_own(tmp_path):
    """A file with unigrams of nothing but the ends of sentences."""
    (tmp_path / "model").write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n0 <s> -1\n-0.5 </s>\n\n\\end\\\n")
    model = NGramLanguageModel.load_arpa(tmp_path / "model")
    assert model.vocabulary == ["<unk>", "<s>", "</s>"] and model.score("") == -0.5
    assert model.next_words([""], 2)[0].tolist() == [["</s>", "<unk>"]]
    assert model.perplexity([""]) == pytest.approx(10**0.5) and model.perplexity(["a"]) == np.inf


def test_weights_of_zero(tmp_path):
    """Nothing is left to words that were not seen after a: they have no probability, and each comes once."""
    unigrams = "\\1-grams:\n-1 <unk>\n0 <s>\n-1 </s>\n-0.3 a -inf\n-0.6 b\n-inf c\n\n"
    bigrams = "\\2-grams:\n-0.2 a b\n-inf a a\n\n\\end\\\n"
    (tmp_path / "model").write_text("\\data\\\nngram 1=6\nngram 2=2\n\n" + unigrams + bigrams)
    model = NGramLanguageModel.load_arpa(tmp_path / "model")
    for k in range(1, 6):
        words, scores = model.next_words(["a"], k, bos=False)
        assert words[0, 0] == "b" and len(set(words[0])) == k
        assert scores[0].tolist() == [-0.2] + [-np.inf] * (k - 1)
    assert set(words[0]) == {"<unk>", "</s>", "a", "b", "c"}


def test_an_order_that_the_text_does_not_reach_names_what_is_missing():
    sentences = [f"w{i % 7} w{i % 5} w{i % 3}" for i in range(200)]
    with pytest.raises(ValueError, match="discount_fallback must be given for this text: it has too few n-grams of"):
        NGramLanguageModel.estimate(sentences, 12)
