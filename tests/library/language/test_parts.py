"""The parts of language models that a small trained model would not tell apart."""

import numpy as np
import pytest
from language_twin import of_low_rank

from fastsoftmax.estimators.language_fitting import held_out
from fastsoftmax.language import low_rank, product, sampling
from fastsoftmax.language.counted import Counted
from fastsoftmax.language.history import History
from fastsoftmax.language.low_rank import LowRankExpert
from fastsoftmax.language.product import Product
from fastsoftmax.language.texts import Text, Words, joined, read_new

HISTORIES = [
    History(7, n_places=3),
    History(7, n_places=2, window=4, decay=0.5, across=True),
    History(7, n_places=2, window=9, decay=0.9),
]


def text(n=60, seed=0):
    ids = np.random.default_rng(seed).integers(1, 7, size=n).astype(np.int32)
    ids[-1] = 1
    return Text(ids, np.append(0, np.flatnonzero(ids == 1)[:-1] + 1), np.array([0]))


@pytest.mark.parametrize("history", HISTORIES)
def test_rows_of_a_text_and_of_a_context_are_those_of_the_definition(history):
    given, rng = text(), np.random.default_rng(1)
    E, V = (rng.standard_normal(shape).astype(np.float32) for shape in ((history.n_columns, 5), (7, 5)))
    expert = LowRankExpert(history, E, V, np.zeros(7, dtype=np.float32))
    logits = expert.hidden(given, np.arange(60)) @ V.T
    for row in range(60):
        line = given.ids[given.lines[given.lines <= row][-1] : row]
        seen = given.ids[:row] if history.across else line
        expected = of_low_rank(expert, seen.tolist())
        np.testing.assert_allclose(logits[row], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(expert.logits_after(given.ids[:row], len(line)), expected, rtol=1e-4, atol=1e-4)


def of_text(given, seed=2):
    """A Product of a low-rank expert and the n-grams of a Text."""
    history, rng = HISTORIES[1], np.random.default_rng(seed)
    E, V = (rng.standard_normal(shape).astype(np.float32) for shape in ((history.n_columns, 5), (7, 5)))
    return Product(Counted.fit(given, 7, 2), LowRankExpert(history, E, V, rng.standard_normal(7).astype(np.float32)))


def test_blocks_of_rows_look_at_the_text_once(monkeypatch):
    given, asked, positions = text(), [], History.positions
    expert = of_text(given).low_rank
    expected = expert.log_proba(given, 1)
    monkeypatch.setattr(low_rank, "BLOCK", 7)
    monkeypatch.setattr(History, "positions", lambda self, text: asked.append(1) or positions(self, text))
    np.testing.assert_allclose(expert.log_proba(given, 1), expected, rtol=1e-6)
    assert len(asked) == 1


@pytest.mark.parametrize(("logits", "n_rows"), [(7 * 4 + 6, 4), (1, 1), (1 << 24, 60)])
def test_the_product_has_so_many_logits_in_memory(logits, n_rows, monkeypatch):
    given, seen, logsumexp = text(), [], product.logsumexp
    both = of_text(given)
    expected = both.log_proba(given, 1)
    monkeypatch.setattr(product, "LOGITS", logits)
    monkeypatch.setattr(product, "logsumexp", lambda a, **kwargs: seen.append(a.shape) or logsumexp(a, **kwargs))
    np.testing.assert_allclose(both.log_proba(given, 1), expected, rtol=1e-5)
    assert set(seen) == {(n_rows, 7)}


def test_best_classes_and_ties():
    proba = np.array([0.1, 0.3, 0.1, 0.3, 0.2])
    assert sampling.best(proba, 5).tolist() == [1, 3, 4, 0, 2]
    assert sampling.best(proba, 1).tolist() == [1] and sampling.best(proba, 4).tolist() == [1, 3, 4, 0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.2, 0.3, 0.4]),
        ({"temperature": 0.5}, np.array([1, 4, 9, 16]) / 30),
        ({"top_k": 2}, [0, 0, 3 / 7, 4 / 7]),
        ({"top_p": 0.7}, [0, 0, 3 / 7, 4 / 7]),
        ({"top_p": 0.71}, [0, 2 / 9, 3 / 9, 4 / 9]),
        ({"top_k": 3, "top_p": 0.4}, [0, 0, 0, 1]),
        ({"temperature": 0}, [0, 0, 0, 1]),
    ],
)
def test_draws_follow_the_distribution(options, expected):
    rng, proba = np.random.default_rng(0), np.array([0.1, 0.2, 0.3, 0.4])
    counts = np.bincount([sampling.draw(proba, rng, **options) for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(counts / 4000, expected, atol=0.03)
    assert np.all((counts > 0) == (np.array(expected) > 0))


@pytest.mark.parametrize("documents", [[0], list(range(0, 6000, 50))])
def test_held_out_blocks_are_whole_and_leave_the_rest(documents):
    given = text(6000)._replace(documents=np.array(documents))
    if len(documents) > 1:
        given = given._replace(lines=np.unique(np.append(given.lines, documents)))
    train, out = held_out(given)
    assert len(train.ids) + len(out.ids) == 6000 and 200 <= len(out.ids) <= 600
    assert train.ids[0] == given.ids[0] and out.ids[-1] == given.ids[-1]
    for part in (train, out):
        assert part.lines[0] == part.documents[0] == 0 and set(part.documents) <= set(part.lines)
    if len(documents) > 1:
        assert len(out.documents) * 50 == len(out.ids)


def test_a_text_has_something_to_hold_out():
    for n_lines in range(2, 12):
        ids = np.tile([3, 1], n_lines).astype(np.int32)
        train, out = held_out(Text(ids, np.arange(0, 2 * n_lines, 2), np.array([0])))
        assert len(train.ids) and len(out.ids) and len(train.ids) + len(out.ids) == len(ids)


def test_joined_texts_begin_documents():
    both = joined([text(10), text(20, seed=1)])
    assert both.documents.tolist() == [0, 10] and set(text(20, seed=1).lines + 10) <= set(both.lines)


def test_factors_are_the_best_ones():
    given, rng = text(400), np.random.default_rng(2)
    history = History(7, n_places=1)
    E, V = (rng.standard_normal(shape).astype(np.float32) for shape in ((7, 5), (7, 5)))
    both = Product(Counted.fit(given, 7, 2), LowRankExpert(history, E, V, np.zeros(7, dtype=np.float32)))
    other = text(300, seed=3)
    best = both.fit(other, np.arange(300)).log_proba(other, 1).mean()
    found = both.factors.copy()
    for place in range(4):
        for change in (-0.05, 0.05):
            both.factors = np.maximum(found + change * np.eye(4)[place], 0)
            assert both.log_proba(other, 1).mean() <= best + 1e-6


def test_bytes_that_are_no_utf_8_stay(tmp_path):
    (path := tmp_path / "text").write_bytes(b"the caf\xe9\n")
    assert read_new("text", path)[1] == ["<unk>", "</s>", "the", "caf\udce9"]


def test_codes_of_contexts():
    words = Words(["<unk>", "</s>", "a", "b", 7])
    for context, expected in (
        ("", []),
        ("a  never b", [2, 0, 3]),
        ("a\n\nb 7\n", [2, 1, 1, 3, 0, 1]),
        (["b", 7, np.int64(7), "7"], [3, 4, 4, 0]),
        (np.array(["a", "b"]), [2, 3]),
        ([], []),
    ):
        codes = words.of_context("contexts", context)
        assert codes.tolist() == expected and codes.dtype == np.int32
    for context in ("a </s>", "a\n</s> b", ["</s>"]):
        with pytest.raises(ValueError, match="the word </s> is the model's own"):
            words.of_context("contexts", context)
    with pytest.raises(TypeError, match=r"words must be str or int, got 1\.5"):
        words.of_context("contexts", ["a", 1.5])
