"""ARPA files: what is written, what comes back, and errors that name the line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsoftmax import NGramLanguageModel
from fastsoftmax.ngrams import arpa

FALLBACK = (0.5, 1.0, 1.5)
FILE = """
\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0 <unk>
0\t<s>\t-0.5
-0.7\t</s>
-0.6\ta\t-0.25
-0.4\tb\t0.125

\\2-grams:
-0.1\t<s> a
-0.9\ta b
-0.3\tb </s>

\\end\\
"""


def load(tmp_path, text):
    path = tmp_path / "model.arpa"
    path.write_text(text)
    return NGramLanguageModel.load_arpa(path)


def random_model(order=4, prune=(0, 0, 1)):
    rng = np.random.default_rng(5)
    sentences = [[f"w{i}" for i in rng.zipf(1.3, rng.integers(0, 12)) % 60] for _ in range(200)]
    return NGramLanguageModel.estimate(sentences, order, prune=prune, discount_fallback=FALLBACK)


def assert_same(model, other, atol=0.0):
    assert model.vocabulary == other.vocabulary and model.n_ngrams == other.n_ngrams
    for table, theirs in zip(model._tables, other._tables, strict=True):
        if table.keys is not None:
            np.testing.assert_array_equal(table.keys, theirs.keys)
        np.testing.assert_allclose(table.log10_proba, theirs.log10_proba, rtol=0, atol=atol)
        np.testing.assert_allclose(table.log10_backoff, theirs.log10_backoff, rtol=0, atol=atol)


def test_a_file_by_hand(tmp_path):
    model = load(tmp_path, FILE)
    assert model.order == 2 and model.n_ngrams == (5, 3) and model.discounts is None
    assert model.vocabulary == ["<unk>", "<s>", "</s>", "a", "b"]
    np.testing.assert_allclose(model.word_scores("a b"), [-0.1, -0.9, -0.3])
    np.testing.assert_allclose(model.word_scores("b a x a"), [-0.5 - 0.4, 0.125 - 0.6, -0.25 - 1, -0.6, -0.25 - 0.7])
    np.testing.assert_allclose(model.word_scores(["a", "b"], bos=False, eos=False), [-0.6, -0.9])
    assert model.score("b a", eos=False) == pytest.approx(-0.5 - 0.4 + 0.125 - 0.6)
    assert model.word_scores("", eos=False).shape == (0,)
    assert model.perplexity(["a b", []]) == pytest.approx(10 ** ((0.1 + 0.9 + 0.3 + 0.5 + 0.7) / 4))
    words, scores = model.next_words(["b", ""], 4)  # after b, the back-off would give a word more than it has
    assert words.tolist() == [["b", "</s>", "a", "<unk>"], ["a", "b", "</s>", "<unk>"]]
    np.testing.assert_allclose(scores, [[-0.275, -0.3, -0.475, -0.875], [-0.1, -0.9, -1.2, -1.5]])


def test_what_is_written(tmp_path):
    model = load(tmp_path, FILE.replace("-0.1\t<s> a", "-12.25\t<s> a").replace("-0.3\t", "0\t"))
    model.save_arpa(tmp_path / "out")
    expected = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0000000\t<unk>\t0
0\t<s>\t-0.5
-0.7000000\t</s>\t0
-0.6000000\ta\t-0.25
-0.4000000\tb\t0.125

\\2-grams:
-12.2500000\t<s> a
-0.9000000\ta b
0\tb </s>

\\end\\
"""
    assert (tmp_path / "out").read_text() == expected


def test_blocks_of_lines(tmp_path, monkeypatch):
    """However many lines are read and written at once, the file is the same, and errors name the same line."""
    model = random_model()
    model.save_arpa(tmp_path / "model")
    expected = (tmp_path / "model").read_bytes()
    for n_lines in (1, 3, model.n_ngrams[1], model.n_ngrams[1] + 1):
        monkeypatch.setattr(arpa, "BLOCK", 10 * n_lines)
        monkeypatch.setattr(arpa, "LINES_WRITTEN", n_lines)
        again = NGramLanguageModel.load_arpa(tmp_path / "model")
        again.save_arpa(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == expected
        with pytest.raises(ValueError, match=r"line 15: 'c' is not among the unigrams, got '-0\.9 a c'"):
            load(tmp_path, FILE.replace("-0.9\ta b", "-0.9\ta c"))


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
@pytest.mark.parametrize("order", [1, 4])
def test_round_trip(tmp_path, order, name):
    model = random_model(order, 0 if order == 1 else (0, 0, 1))
    model.save_arpa(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    again = NGramLanguageModel.load_arpa(tmp_path / name)
    assert_same(model, again, atol=1e-7)
    again.save_arpa(tmp_path / "again.gz")
    assert_same(again, NGramLanguageModel.load_arpa(tmp_path / "again.gz"))


def test_order_of_lines_and_special_words_is_free(tmp_path):
    model = random_model()
    model.save_arpa(tmp_path / "model")
    lines = (tmp_path / "model").read_text().split("\n\n")
    for i in range(1, 5):
        head, *ngrams = lines[i].split("\n")
        lines[i] = "\n".join([head, *reversed(ngrams)])
    shuffled = load(tmp_path, "\n\n".join(lines))
    assert shuffled.vocabulary[3:] == model.vocabulary[:2:-1]
    for sentence in ("w1 w2 w1", "w3 w1 xyz w2", ""):
        np.testing.assert_allclose(shuffled.word_scores(sentence), model.word_scores(sentence), atol=1e-6)


def test_a_file_without_unknown_words(tmp_path):
    model = load(tmp_path, FILE.replace("-1.0 <unk>\n", "").replace("1=5", "1=4"))
    assert model.score("x") == -np.inf and model.perplexity(["a x"]) == np.inf
    words, scores = model.next_words([""], 4)
    assert words[0, -1] == "<unk>" and scores[0, -1] == -np.inf
    model.save_arpa(tmp_path / "out")
    assert "\n-99.0000000\t<unk>" in (tmp_path / "out").read_text()


def test_windows_line_ends_and_a_gzip_file(tmp_path):
    (tmp_path / "model").write_bytes(gzip.compress(FILE.replace("\n", "\r\n").encode()))
    assert_same(NGramLanguageModel.load_arpa(tmp_path / "model"), load(tmp_path, FILE))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_next_words_of_any_file_are_exact(tmp_path_factory, data):
    """Any numbers may be in a file, and the back-off may give words more than they have."""
    logs = st.floats(-5, 0).map(lambda x: round(x, 2))
    sentences = [data.draw(st.lists(st.sampled_from("abcde"), min_size=3, max_size=9)) for _ in range(4)]
    model = NGramLanguageModel.estimate(sentences, 3, discount_fallback=FALLBACK)
    for table in model._tables:
        for values in (table.log10_proba, table.log10_backoff):
            values[:] = [data.draw(logs) for _ in values]
    path = tmp_path_factory.mktemp("arpa") / "model"
    model.save_arpa(path)
    model = NGramLanguageModel.load_arpa(path)
    contexts = data.draw(st.lists(st.lists(st.sampled_from("abcdeX"), max_size=3), min_size=1, max_size=4))
    vocabulary = [word for word in model.vocabulary if word not in ("<s>", "</s>")]
    for k in (1, 3, len(vocabulary) + 1):
        words, scores = model.next_words(contexts, k)
        for context, row, own in zip(contexts, words, scores, strict=True):
            all_scores = {word: model.word_scores([*context, word], eos=False)[-1] for word in vocabulary}
            all_scores["</s>"] = model.word_scores(context)[-1]
            np.testing.assert_allclose(own, sorted(all_scores.values(), reverse=True)[:k], atol=1e-12)
            np.testing.assert_allclose(own, [all_scores[word] for word in row], atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", r"line 2: an ARPA file begins with \\data\\, got 'data'"),
        (FILE, "", "line 1: an ARPA file begins with"),
        ("ngram 1=5\nngram 2=3\n", "", r"line 3: no numbers of n-grams after \\data\\"),
        ("ngram 2=3", "ngram 3=3", r"line 4: expected ngram 2=\.\.\., got 'ngram 3=3'"),
        ("ngram 2=3", "ngram 2=x", "line 4: expected ngram 2"),
        ("\\1-grams:", "\\2-grams:", r"line 6: expected \\1-grams:"),
        ("-0.6\ta", "x\ta", "line 10: expected numbers around the words"),
        ("-0.6\ta", "0.6\ta", "line 10: a log10 of a probability is at most 0"),
        ("-0.6\ta", "nan\ta", "line 10: a log10 of a probability is at most 0"),
        ("0.125", "inf", "line 11: a log10 of a probability is at most 0, and a weight is finite"),
        ("0.125", "nan", "line 11: a log10 of a probability is at most 0, and a weight is finite"),
        ("-0.6\ta", "-0.6\tb", "line 11: this 1-gram stands in the file twice"),
        ("-0.9\ta b", "-0.9\t<s> a", "line 15: this 2-gram stands in the file twice"),
        ("-0.9\ta b", "-0.9\ta c", "line 15: 'c' is not among the unigrams"),
        ("-0.9\ta b", "-0.9\ta", "line 15: expected 2 words between numbers"),
        ("-0.9\ta b", "-0.9\ta b c d", "line 15: expected 2 words between numbers"),
        ("-0.9\ta b\n", "", "line 16: the section of 2-grams ends after 2, but .* says 3"),
        ("ngram 2=3", "ngram 2=2", "line 17: the section of 2-grams ends after 3, but .* says 2"),
        ("\\end\\\n", "", r"the file ends before \\end\\"),
        ("\\end\\", "\\3-grams:", r"line 18: expected \\end\\"),
        (FILE[FILE.index("\\2-grams") :], "", r"the file ends before \\2-grams:"),
    ],
)
def test_damaged_files(tmp_path, old, new, message):
    assert old in FILE
    with pytest.raises(ValueError, match=message) as error:
        load(tmp_path, FILE.replace(old, new))
    assert "model.arpa" in str(error.value)


def test_an_ngram_whose_context_is_missing(tmp_path):
    trigrams = FILE.replace("2=3", "2=3\nngram 3=2").replace("\\end\\", "\\3-grams:\n-1\t<s> a b\n-1\tb a b\n\n\\end\\")
    with pytest.raises(ValueError, match="line 21: its first 2 words are not among the shorter n-grams"):
        load(tmp_path, trigrams)


def test_trigrams_whose_last_words_are_missing(tmp_path):
    """As models pruned by others have them: a c b is there, and c b is not."""
    unigrams = "\\1-grams:\n-2 <unk>\n0 <s>\n-0.7 </s>\n-0.6 a -1\n-0.5 b\n-0.9 c -0.1\n\n"
    longer = "\\2-grams:\n-0.2 a c -0.3\n-1.9 b a\n\n\\3-grams:\n-1.5 a c b\n\n\\end\\\n"
    model = load(tmp_path, "\\data\\\nngram 1=6\nngram 2=2\nngram 3=1\n\n" + unigrams + longer)
    assert model.score("a c b", bos=False, eos=False) == pytest.approx(-0.6 - 0.2 - 1.5)
    words, scores = model.next_words(["a c"], 5, bos=False)
    assert words.tolist() == [["a", "</s>", "c", "b", "<unk>"]]
    np.testing.assert_allclose(scores[0], [-1.0, -1.1, -1.3, -1.5, -2.4])
    assert model.next_words(["a c"], 1, bos=False)[0].tolist() == [["a"]]  # after c alone, it would be b


def test_paths_that_cannot_be(tmp_path):
    model = random_model()
    with pytest.raises(FileNotFoundError, match="path cannot be"):
        model.save_arpa(tmp_path / "none" / "model")
    with pytest.raises(TypeError, match="path must be a path"):
        model.save_arpa(3)
    with pytest.raises(FileNotFoundError):
        NGramLanguageModel.load_arpa(tmp_path / "none")
    (tmp_path / "cut").write_bytes(gzip.compress(FILE.encode())[:-20])
    with pytest.raises(ValueError, match="damaged gzip file"):
        NGramLanguageModel.load_arpa(tmp_path / "cut")


def test_wrong_questions():
    model = random_model()
    with pytest.raises(ValueError, match="the word </s> is the model's own"):
        model.score("w1 </s>")
    with pytest.raises(TypeError, match="sentence must be str or list of words"):
        model.score(Path("text"))
    with pytest.raises(
        ValueError, match="contexts: the word <s> is the model's own and cannot be in a text in context 1"
    ):
        model.next_words(["w1", "<s> w1"])
    with pytest.raises(TypeError, match="contexts must be a list of contexts, got one text: 'w1'"):
        model.next_words("w1")
    with pytest.raises(TypeError, match="contexts must be str or list of words, got 3"):
        model.next_words([3])
    with pytest.raises(ValueError, match=f"k must be at most {len(model.vocabulary) - 1}"):
        model.next_words(["w1"], len(model.vocabulary))
    with pytest.raises(TypeError, match="bos must be True or False"):
        model.score("w1", bos="yes")
    with pytest.raises(ValueError, match="sentences must have at least one word"):
        model.perplexity([])
    assert model.next_words([], 3)[0].shape == (0, 3)
    assert model.word_scores("<unk>")[0] == model.word_scores("never seen")[0]


def test_words_that_are_no_utf_8_keep_their_bytes(tmp_path):
    (text := tmp_path / "text").write_bytes(b"a caf\xe9\na b\nb a\n" * 3)
    model = NGramLanguageModel.estimate(text, 2, discount_fallback=(0.5, 1, 1.5))
    model.save_arpa(tmp_path / "arpa")
    assert b"caf\xe9" in (tmp_path / "arpa").read_bytes()
    words, _ = NGramLanguageModel.load_arpa(tmp_path / "arpa").next_words(["a"], 5)
    assert "caf\udce9" in words[0]
