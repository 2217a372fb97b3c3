"""Single histories and predictors of a NextItemModel: they answer as many histories together are answered."""

import copy
import pickle
import sys
import threading
from functools import partial

import numpy as np
import pytest
from next_item_walks import HISTORIES, N_ITEMS, walks
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import NextItemModel
from fastsoftmax.estimators import next_item_fitting, next_item_predictor


@pytest.fixture(scope="module")
def model():
    """A model with all experts, whatever they are worth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(next_item_fitting, "WORTH", -1.0)
        return NextItemModel(hidden_size=8, max_iter=3, random_state=0).fit(walks(800))


@pytest.fixture
def together(monkeypatch):
    """Asks about histories by the products of matrices that many go through."""

    def ask(model, *args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(next_item_predictor, "FEW", 0)
            return model.predict_topk(*args, **kwargs)

    return ask


def assert_same(found, expected, rtol=2e-5):
    """The same probabilities, and the same items but where others are nearly as probable."""
    assert_allclose(found[1], expected[1], rtol=rtol)
    of_found = {item: value for item, value in zip(found[0].flat, found[1].flat, strict=True)}
    assert len(of_found) == found[0].size
    for item, value in zip(expected[0].flat, expected[1].flat, strict=True):
        assert of_found.get(item, expected[1].min()) == pytest.approx(value, rel=2 * rtol)


@pytest.mark.parametrize("k", [1, 7, N_ITEMS])
def test_single_histories(isa, model, together, k):
    histories = [*HISTORIES, *walks(30, seed=4)]
    expected = together(model, histories, k)
    for row, history in enumerate(histories):
        assert_same(model.predict_topk([history], k), [a[[row]] for a in expected])
        assert_same(model.predict_topk((tuple(history),), k), [a[[row]] for a in expected])
    few = model.predict_topk(histories[:4], k)
    assert_allclose(few[1], expected[1][:4], rtol=2e-5)
    assert few[0].dtype == expected[0].dtype and few[1].dtype == np.float64


def test_they_take_the_short_way(model, monkeypatch):
    """Otherwise the other tests would compare a way with itself."""

    def topk(*args):
        raise AssertionError("the way of many histories")

    monkeypatch.setattr(type(model._mixture), "topk", topk)
    for history in HISTORIES:
        model.predict_topk([history], 5, exclude_seen=len(history) < 9, exclude=[["i7"]])
    with pytest.raises(AssertionError, match="many"):
        model.predict_topk([["i1"]] * (next_item_predictor.FEW + 1))
    with pytest.raises(AssertionError, match="many"):  # no item is left
        model.predict_topk([HISTORIES[-1]], 1, exclude_seen=True)


def test_excluded_items(model, together):
    exclude = [["i5", "unknown"]]
    for history in (["i3", "i4"], [], ["i1"] * 60):
        for options in (
            {"exclude_seen": True},
            {"exclude": exclude},
            {"exclude_seen": True, "exclude": tuple(exclude)},
        ):
            found, expected = (ask([history], 9, **options) for ask in (model.predict_topk, partial(together, model)))
            assert_allclose(found[1], expected[1], rtol=2e-5)
            barred = {*history} if "exclude_seen" in options else set()
            assert not set(found[0][0]) & (barred | {"i5"} if "exclude" in options else barred)
        found = model.predict_topk([history], 9, exclude=iter(exclude))
        assert_allclose(found[1], together(model, [history], 9, exclude=exclude)[1], rtol=2e-5)
    with pytest.raises(ValueError, match="exclude must have a sequence for each of the 1 histories, got 2"):
        model.predict_topk([["i1"]], exclude=[["i1"], []])


def test_padding_where_few_items_are_left(model, together):
    history = [f"i{i}" for i in range(N_ITEMS - 2)]
    found = model.predict_topk([history], 5, exclude_seen=True)
    for a, b in zip(found, together(model, [history], 5, exclude_seen=True), strict=True):
        assert_array_equal(a, b)
    assert (found[0][0, 2:] == "").all() and (found[1][0, 2:] == -np.inf).all()


def alike(model):
    """A copy of a model whose network knows no item from another, and whose experts are left out."""
    other = copy.deepcopy(model)
    network = other._mixture.network.classifier._model
    network.V[:] = 0
    network.bias[:] = 0
    other._mixture.weights[:] = 0
    return other


@pytest.mark.parametrize("k", [1, 5, 39])
def test_of_equal_items_the_first_come_first(model, together, k):
    """Also at the border of the k best, for one history and for many."""
    other = alike(model)
    expected = other.items_[other._mixture.network.classifier.classes_]
    for history in (["i3"], [], ["i1", "i2"]):
        assert_array_equal(other.predict_topk([history], k)[0][0], expected[:k])
        assert_array_equal(together(other, [history, ["i3"]], k)[0], [expected[:k]] * 2)
    seen = other.predict_topk([[expected[1]]], 3, exclude_seen=True)[0]
    assert_array_equal(seen[0], expected[[0, 2, 3]])
    assert_array_equal(together(other, [[expected[1]]], 3, exclude_seen=True)[0], seen)


def test_equal_items_of_an_expert(model, together):
    """Of votes that are the same, and a network that tells nothing apart."""
    other = alike(model)
    names = list(other._mixture.experts)
    other._mixture.weights[:, names.index("repeats")] = 0.5
    history = ["i9"] * 50
    found = other.predict_topk([history], 6)[0][0]
    rest = [item for item in other.items_[other._mixture.network.classifier.classes_] if item != "i9"]
    assert found.tolist() == ["i9", *rest[:5]]
    assert_array_equal(together(other, [history], 6)[0][0], found)


def test_the_same_bits_for_any_number_of_threads(model):
    expected = [model.predictor(1).predict_topk([history], 9) for history in HISTORIES]
    for n_threads in (2, 5):
        predictor = model.predictor(n_threads)
        for history, of_one in zip(HISTORIES, expected, strict=True):
            for a, b in zip(predictor.predict_topk([history], 9), of_one, strict=True):
                assert_array_equal(a, b)


def test_a_predictor_answers_as_the_model_did(model):
    other = copy.deepcopy(model)
    predictor, expected = other.predictor(1), other.predict_topk(HISTORIES, 4)
    other.partial_fit(walks(50, seed=9, n_items=N_ITEMS + 3))
    assert not np.array_equal(other.predict_topk(HISTORIES, 4)[1], expected[1])
    other.fit(walks(100, seed=3))
    for each in (predictor, copy.copy(predictor), pickle.loads(pickle.dumps(predictor))):
        for a, b in zip(each.predict_topk(HISTORIES, 4), expected, strict=True):
            assert_array_equal(a, b)
        assert_array_equal(each.predict(HISTORIES), expected[0][:, 0])
    assert_array_equal(predictor.items_, model.items_)
    assert predictor.mixture.experts["neighbours"].n_threads == 1 != model._mixture.experts["neighbours"].n_threads
    for call in (lambda: model.predictor(0), lambda: predictor.predict_topk(HISTORIES, 0)):
        with pytest.raises(ValueError, match=r"must be at least|n_threads"):
            call()


def test_what_a_predictor_keeps_is_not_pickled(model):
    other = copy.deepcopy(model)
    size = len(pickle.dumps(other))
    other.predict_topk([["i1"]])
    assert other._kept._index is not None and len(pickle.dumps(other)) == size


def test_many_threads_ask(model):
    histories, wrong = walks(60, seed=5), []
    expected = [model.predict_topk([history], 5) for history in histories]
    interval = sys.getswitchinterval()
    for predictor in (model, model.predictor(1)):

        def ask(first, predictor=predictor):
            for i in range(first, 240, 4):
                found = predictor.predict_topk([histories[i % 60]], 5)
                if not all(map(np.array_equal, found, expected[i % 60])):
                    wrong.append(i)

        workers = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
        sys.setswitchinterval(1e-5)
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        finally:
            sys.setswitchinterval(interval)
    assert not wrong


def test_an_error_leaves_nothing_behind(model, monkeypatch):
    """Where one history fails after the experts have voted, the next one begins from zeros."""
    expected = model.predict_topk([["i3"]], 5)
    one = model._kept._one
    with monkeypatch.context() as patch:
        patch.setattr(type(one), "_hidden", lambda self, items: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.predict_topk([["i9", "i2"]], 5)
    for a, b in zip(model.predict_topk([["i3"]], 5), expected, strict=True):
        assert_array_equal(a, b)
