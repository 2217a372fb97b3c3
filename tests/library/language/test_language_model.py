import functools
import threading

import numpy as np
import pytest
from language_twin import log_proba, sentences
from sklearn.exceptions import NotFittedError

from fastsoftmax import LanguageModel, SoftmaxClassifier, load
from fastsoftmax.language import cache
from fastsoftmax.language.counted import Counted
from fastsoftmax.language.low_rank import LowRankExpert
from fastsoftmax.language.mixture import Mixture
from fastsoftmax.language.product import Product
from fastsoftmax.language.texts import read_new

KINDS = {
    "document": {"context": "document"},
    "sentence": {"context": "sentence"},
    "without cache": {"context": "sentence", "cache": False},
    "without low rank": {"hidden_size": None, "cache": True},
    "unigrams": {"order": 1, "hidden_size": None, "cache": False},
}


@functools.cache
def fitted(kind="document", n_threads=1, **kwargs):
    parameters = {
        "order": 3,
        "hidden_size": 8,
        "cache": True,
        "max_iter": 1,
        "random_state": 0,
        **KINDS[kind],
        **kwargs,
    }
    return LanguageModel(**parameters, n_threads=n_threads).fit(sentences(300))


DOCUMENTS = [sentences(4, seed=1), sentences(3, seed=2)]
TEXTS = ["\n".join(lines) + "\n" for lines in DOCUMENTS]
CONTEXTS = ["", "w1", "w1 w2\nw3 w1 w2", "never w1", TEXTS[0], TEXTS[1] + "w1 w1"]


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_the_definition(kind):
    model = fitted(kind)
    np.testing.assert_allclose(model.log_proba(TEXTS), log_proba(model, DOCUMENTS), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_words_add_up_to_1(kind):
    """The mixture is scaled to 1 in the end, so that it is its parts whose sum is looked at here."""
    mixture, words = fitted(kind)._mixture, fitted(kind)._words
    for context in CONTEXTS if mixture.has_cache else ():
        ids, weights = words.of_context("context", context), np.random.default_rng(0).dirichlet(np.ones(5))
        of_caches = np.zeros(len(words.vocabulary))
        cache.add_context(of_caches, weights, ids, cache.places_of_context(ids), mixture.counted.unigrams)
        assert of_caches.sum() == pytest.approx(1, abs=1e-5)
    proba = fitted(kind).predict_proba(CONTEXTS)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert proba.min() > 0
    np.testing.assert_allclose(mixture.weights.sum(axis=1), 1)
    assert mixture.weights.shape[1] == len(mixture.names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_has_the_same_probability_in_a_text_and_after_a_context(kind):
    model, text = fitted(kind), TEXTS[0].split("\n")[0].split()
    expected = [model.predict_proba([" ".join(text[:i])])[0, model._words.code(text[i])] for i in range(len(text))]
    np.testing.assert_allclose(model.log_proba([text])[:-1], np.log(expected), atol=1e-4)


def test_best_words_are_those_of_all_probabilities_sorted():
    model = fitted()
    proba = model.predict_proba(CONTEXTS)
    n = len(model.vocabulary_)
    for k in (1, 5, n):
        words, log_p = model.predict_topk(CONTEXTS, k)
        order = np.argsort(-proba, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(words, np.array(model.vocabulary_, dtype=object)[order])
        np.testing.assert_allclose(np.exp(log_p), np.take_along_axis(proba, order, axis=1))


def test_perplexity_and_score_are_those_of_log_proba():
    model = fitted()
    log_p = model.log_proba(TEXTS)
    assert len(log_p) == sum(len(text.split()) + len(lines) for text, lines in zip(TEXTS, DOCUMENTS, strict=True))
    assert model.score(TEXTS) == log_p.mean()
    assert model.perplexity(TEXTS) == pytest.approx(np.exp(-log_p.mean()))


def test_forms_of_a_text(tmp_path):
    """Sentences that follow one another are a document; a document may also be a str with lines, a nested list, a file."""
    model, lines = fitted(), DOCUMENTS[0]
    expected = model.log_proba(TEXTS[:1])
    path = tmp_path / "text"
    path.write_text(TEXTS[0])
    words = [line.split() for line in lines]
    for form in (lines, words, [words], iter(lines), path, str(path), [path], [lines[0], *words[1:]]):
        np.testing.assert_array_equal(model.log_proba(form), expected)
    both = model.log_proba(TEXTS)
    np.testing.assert_allclose(np.r_[expected, model.log_proba(TEXTS[1:])], both)
    np.testing.assert_array_equal(model.log_proba([TEXTS[0], *DOCUMENTS[1]]), both)
    assert not np.allclose(model.log_proba([*lines, *DOCUMENTS[1]]), both)  # one document
    assert len(model.log_proba([""])) == 1 and len(model.log_proba([])) == 0


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_of_sentences_make_no_documents(end, tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"a b\n\nb c\nd\n")
    expected = read_new("sentences", path)[0]
    assert expected.documents.tolist() == [0] and len(expected.lines) == 4
    with open(path) as file:
        for lines in (file, (line + end for line in ("a b", "", "b c", "d"))):
            for a, b in zip(read_new("sentences", lines)[0], expected, strict=True):
                np.testing.assert_array_equal(a, b)
    assert len(read_new("sentences", ["a\nb\n", "c\nd"])[0].documents) == 2


def test_words_may_be_numbers():
    numbers = [[int(word[1:]) for word in line.split()] for line in sentences(300)]
    model = LanguageModel(
        order=3, hidden_size=8, cache=True, context="document", max_iter=1, random_state=0, n_threads=1
    )
    model.fit(numbers)
    texts = [[int(word[1:]) for word in line.split()] for line in DOCUMENTS[0]]
    np.testing.assert_allclose(model.log_proba(texts), fitted().log_proba(DOCUMENTS[0]))
    assert all(isinstance(word, int) for word in model.complete([3, 4], 3))


def test_the_best_of_experts_is_found():
    """What repeats itself in a document needs the cache; a chain of words does not."""
    rng = np.random.default_rng(0)
    repeating = [[["x", "y", "z"], *[rng.choice(sentences(60), 1)[0].split()] * 6] for _ in range(40)]
    options = {"order": 2, "hidden_size": None, "random_state": 0}
    model = LanguageModel(**options).fit(repeating)
    assert model.chosen_["cache"] is True
    assert model.perplexity(repeating[:5]) < 0.7 * LanguageModel(cache=False, **options).fit(repeating).perplexity(
        repeating[:5]
    )
    assert LanguageModel(**options).fit(sentences(400)).chosen_["cache"] is False


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_seed_gives_the_same_model_for_any_number_of_threads(n_threads):
    np.testing.assert_array_equal(fitted(n_threads=n_threads).log_proba(TEXTS), fitted().log_proba(TEXTS))


def test_seeds_differ():
    assert not np.array_equal(fitted(random_state=1).log_proba(TEXTS), fitted().log_proba(TEXTS))


def test_rare_words_are_unknown():
    model = LanguageModel(order=2, hidden_size=None, min_count=5, cache=False).fit([*sentences(300), "rare rare"])
    assert "rare" not in model.vocabulary_ and model.vocabulary_[:2] == ["<unk>", "</s>"]
    np.testing.assert_array_equal(model.log_proba(["rare"]), model.log_proba(["<unk>"]))
    counts = {}
    for word in " ".join(sentences(300)).split():
        counts[word] = counts.get(word, 0) + 1
    n = [counts[word] for word in model.vocabulary_[2:]]
    assert min(n) >= 5 and n == sorted(n, reverse=True)


def test_completions_are_the_best_words_one_after_the_other():
    model = fitted()
    words = ["w1", "w2"]
    for _ in range(5):
        word = model.predict_topk([words], 1)[0][0, 0]
        if word == "</s>":
            break
        words.append(word)
    assert model.complete("w1 w2", 5) == " ".join(words[2:])
    assert model.complete(["w1", "w2"], 5) == words[2:]
    assert model.sample("w1 w2", temperature=0, n_tokens=5) == [" ".join(words[2:])]
    assert model.sample("w1 w2", top_k=1, n_tokens=5) == [" ".join(words[2:])]


def test_samples_are_reproducible_and_follow_the_distribution():
    model = fitted()
    assert model.sample("w1", 5, random_state=0) == model.sample("w1", 5, random_state=0)
    first = [words[0] if words else "</s>" for words in model.sample(["w1"], 400, n_tokens=1, random_state=0)]
    proba = model.predict_proba([["w1"]])[0]
    shares = np.array([first.count(word) for word in model.vocabulary_]) / 400
    assert np.abs(shares - proba).max() < 0.1 and np.abs(shares - proba).sum() < 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(kind, tmp_path):
    model, path = fitted(kind), tmp_path / "model.safetensors"
    model.save(path)
    for loaded in (LanguageModel.load(path), load(path)):
        assert type(loaded) is LanguageModel and loaded.get_params() == model.get_params()
        np.testing.assert_array_equal(loaded.log_proba(TEXTS), model.log_proba(TEXTS))
        assert loaded.vocabulary_ == model.vocabulary_ and loaded.chosen_ == model.chosen_
        assert loaded.sample("w1", 3, random_state=0) == model.sample("w1", 3, random_state=0)


def test_damaged_and_foreign_files(tmp_path):
    path = tmp_path / "model.safetensors"
    fitted().save(path)
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:-100] + bytes(100), whole[:2000], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="model"):
            LanguageModel.load(path)
    SoftmaxClassifier(max_iter=1).fit(np.eye(3), [0, 1, 2]).save(path)
    with pytest.raises(ValueError, match="language model"):
        LanguageModel.load(path)
    fitted().save(path)
    with pytest.raises(ValueError, match="language model"):
        SoftmaxClassifier.load(path)


def test_not_fitted():
    model = LanguageModel()
    calls = (model.log_proba, model.perplexity, model.score, model.predict_proba, model.predict_topk, model.complete)
    for call in (*calls, model.sample, model.save):
        with pytest.raises(NotFittedError):
            call(["w1"])


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"order": 0}, "order"),
        ({"hidden_size": "large"}, "hidden_size"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"context": "line"}, "context"),
        ({"cache": "no"}, "cache"),
        ({"min_count": 0}, "min_count"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_bad_parameters(parameters, error):
    with pytest.raises(ValueError, match=error):
        LanguageModel(**parameters).fit(sentences(20))


def test_parameters_are_checked_before_the_text_is_read():
    text = iter(sentences(20))
    for n_threads, error in (("x", TypeError), (0, ValueError)):
        with pytest.raises(error, match="n_threads must"):
            LanguageModel(n_threads=n_threads).fit(text)
    assert len(list(text)) == 20


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ([], ValueError, "sentences must have at least 2 sentences"),
        (["", ""], ValueError, "0 words"),
        (["a b"], ValueError, "got 1 sentences"),
        ("a b c", ValueError, "lone str is the path"),
        (3, TypeError, "iterable of sentences, got 3"),
        ([["a", 1.5], ["b"]], TypeError, "got 1.5"),
        ([3, 4], TypeError, "got 3 at position 0"),
        (["a </s>", "b"], ValueError, "</s>"),
    ],
)
def test_bad_texts(text, error, message):
    with pytest.raises(error, match=message):
        LanguageModel().fit(text)


def test_bad_calls():
    model = fitted()
    for call, message in [
        (lambda: model.predict_topk("w1"), "list of contexts"),
        (lambda: model.predict_topk([3]), "got 3"),
        (lambda: model.complete(3), "prompt"),
    ]:
        with pytest.raises(TypeError, match=message):
            call()
    for call, message in [
        (lambda: model.predict_topk(["w1"], 0), "k must"),
        (lambda: model.predict_topk(["w1"], 1000), "k must"),
        (lambda: model.sample("w1", 0), "n must"),
        (lambda: model.sample("w1", temperature=-1), "temperature"),
        (lambda: model.sample("w1", top_p=0), "top_p"),
        (lambda: model.sample("w1", top_k=0), "top_k"),
        (lambda: model.score([]), "at least one sentence"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_two_threads_cannot_fit_the_same_model():
    model, errors = LanguageModel(order=2, hidden_size=None, n_threads=1), []

    def fit_another():
        try:
            model.fit(sentences(20))
        except RuntimeError as error:
            errors.append(str(error))

    def text():
        yield from sentences(20)
        thread = threading.Thread(target=fit_another)
        thread.start()
        thread.join()

    model.fit(text())
    assert len(errors) == 1 and "fit cannot run while another thread is in fit of the same LanguageModel" in errors[0]


def test_it_says_what_it_chose(capfd):
    LanguageModel(order=2, hidden_size=4, max_iter=1, verbose=1, random_state=0).fit(sentences(200))
    said = capfd.readouterr().err
    for word in ("held out", "context: ", "epoch 1 of 1", "chosen by held-out text: hidden_size=4", "n-grams "):
        assert word in said


def test_an_interrupted_fit_leaves_a_usable_model(monkeypatch):
    calls = []

    def partial_fit(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return of_classifier(self, *args, **kwargs)

    of_classifier = SoftmaxClassifier.partial_fit
    monkeypatch.setattr(SoftmaxClassifier, "partial_fit", partial_fit)
    model = LanguageModel(order=2, hidden_size=4, context="sentence", max_iter=100, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(sentences(100))
    assert len(calls) == 3 and model.chosen_["n_iter"] <= 3
    np.testing.assert_allclose(model.predict_proba(CONTEXTS).sum(axis=1), 1, atol=1e-5)


class CtrlC:
    """Has Ctrl-C come in calls of a function, by their numbers."""

    def __init__(self, monkeypatch, owner, name, *numbers):
        self.n_calls, of_owner = 0, getattr(owner, name)

        def call(*args, **kwargs):
            self.n_calls += 1
            if self.n_calls in numbers:
                raise KeyboardInterrupt
            return of_owner(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("owner", "name", "numbers"),
    [
        (SoftmaxClassifier, "partial_fit", [2]),
        (LowRankExpert, "log_proba", [1]),
        (LowRankExpert, "log_proba", [2]),
        (Product, "fit", [1]),
        (Mixture, "fit_weights", [2]),
        (Counted, "fit", [2]),
        (Mixture, "count_anew", [1]),
    ],
)
def test_fits_that_are_interrupted_leave_usable_models(owner, name, numbers, monkeypatch):
    """In the comparison of contexts, where models are judged, and in the steps after the training."""
    ctrl_c = CtrlC(monkeypatch, owner, name, *numbers)
    model = LanguageModel(order=2, hidden_size=4, max_iter=1, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(sentences(100))
    assert ctrl_c.n_calls >= numbers[-1]
    assert model.chosen_["context"] in ("document", "sentence") and model.chosen_["n_iter"] == 1
    np.testing.assert_allclose(model.predict_proba(CONTEXTS).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("owner", "name", "numbers"),
    [
        (SoftmaxClassifier, "partial_fit", [1]),
        (Counted, "fit", [1]),
        (Product, "fit", [1, 2]),
    ],
)
def test_fits_that_are_interrupted_too_early_or_twice_leave_the_model_as_it_was(owner, name, numbers, monkeypatch):
    model = LanguageModel(order=2, hidden_size=4, max_iter=1, random_state=0).fit(sentences(60))
    before = model.log_proba(TEXTS)
    CtrlC(monkeypatch, owner, name, *numbers)
    with pytest.raises(KeyboardInterrupt):
        model.fit(sentences(100))
    np.testing.assert_array_equal(model.log_proba(TEXTS), before)
