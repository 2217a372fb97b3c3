"""A NextItemModel that learns from a stream of sequences, and what is left of it where Ctrl-C ends its training."""

import pickle
import signal

import numpy as np
import pytest
from next_item_walks import HISTORIES, N_ITEMS, walks
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import NextItemModel, SoftmaxClassifier, load
from fastsoftmax.estimators import next_item_fitting, next_item_network
from fastsoftmax.sequences.experts import EXPERTS
from fastsoftmax.sequences.items import encoded

MORE = 44  # items of the later sequences


def new(**params):
    return NextItemModel(**{"hidden_size": 8, "max_iter": 2, "random_state": 0} | params)


@pytest.fixture(scope="module")
def first():
    """A model of the first sequences, with all experts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(next_item_fitting, "WORTH", -1.0)
        return new().fit(walks(900))


@pytest.fixture
def model(first):
    return pickle.loads(pickle.dumps(first))


def answers(model):
    items, log_proba = model.predict_topk(HISTORIES, 7)
    return items.tolist(), log_proba.tolist()


def test_counts_and_neighbours_are_those_of_all_sequences(model):
    later = walks(60, seed=1, n_items=MORE)
    before = model._mixture
    model.partial_fit(later)
    every = [*walks(900), *later]
    assert (
        model.items_.tolist() == sorted({item for sequence in every for item in sequence}) and len(model.items_) == MORE
    )
    expected = encoded(every, model.items_, "every")
    for found, of_all in zip(model._sequences, expected, strict=True):
        assert_array_equal(found, of_all)
    assert_array_equal(model._mixture.counts, np.bincount(expected.ids))
    assert_array_equal(model._mixture.weights, before.weights)
    histories = encoded(HISTORIES, model.items_, "histories").wholes()
    assert model._mixture.experts.keys() == EXPERTS.keys()
    for name, expert in model._mixture.experts.items():
        for found, of_all in zip(
            expert.votes(histories), EXPERTS[name](expected, MORE, None).votes(histories), strict=True
        ):
            assert_array_equal(found, of_all)


def test_the_network_goes_on_learning(model):
    """Steps on nothing change nothing; steps on sequences make these more probable, with new items, too."""
    later, network = walks(200, seed=1, n_items=MORE), model._mixture.network
    same = network.grown(
        N_ITEMS, np.arange(N_ITEMS), encoded([["i1"]], model.items_, "x"), 2, n_threads=None, verbose=0
    )
    rows = encoded(walks(50, seed=2), model.items_, "x").prefixes()[:2]
    assert_array_equal(same.proba_of(*rows), network.proba_of(*rows))
    weights = {name: a.copy() for name, a in network.classifier._model.arrays().items()}
    model.partial_fit(later)
    for name, a in network.classifier._model.arrays().items():  # of the model before, which others may have
        assert_array_equal(a, weights[name])
    now = model._mixture.network
    assert len(now.classifier.classes_) == len(now.features.items_) == MORE
    known = encoded(walks(200, seed=3, n_items=MORE), model.items_, "x").prefixes()[:2]
    assert np.log(now.proba_of(*known)).mean() > np.log(1 / MORE) + 0.5
    every = np.array([now.proba_of(known[0].rows([row]), np.array([i])) for row in (0, 1) for i in range(MORE)])
    assert_allclose(every.reshape(2, MORE).sum(axis=1), 1, rtol=1e-5)


def test_old_items_keep_what_the_network_knows_of_them(model):
    """New items among the old ones change the codes of these, and their columns, and nothing else."""
    network, n = model._mixture.network, N_ITEMS + 3
    at = np.delete(np.arange(n), [0, 17, n - 1])
    nothing = encoded([], model.items_, "x")
    other = network.grown(n, at, nothing, 2, n_threads=None, verbose=0)
    histories, targets, _ = encoded(walks(50, seed=2), model.items_, "x").prefixes()
    moved = histories._replace(ids=at[histories.ids].astype(np.int32))
    assert_allclose(other.proba_of(moved, at[targets]), network.proba_of(histories, targets), rtol=1e-5)


def test_a_stream_gets_better_with_each_block():
    """Though not as good as one fit of all."""
    blocks = [walks(1000, seed=seed, n_items=300) for seed in range(3)]
    streamed = new(max_iter=4)
    for block in blocks:
        assert streamed.partial_fit(block) is streamed
    every = [sequence for block in blocks for sequence in block]
    models = new(max_iter=4).fit(blocks[0]), streamed, new(max_iter=4).fit(every)
    first, of_stream, of_all = (model.score(walks(200, seed=9, n_items=300)) for model in models)
    assert of_all > first and of_stream > first + 0.15 * (of_all - first)


def test_the_first_call_is_fit(first):
    assert answers(new().partial_fit(walks(900))) == answers(new().fit(walks(900)))


def test_a_stream_goes_on_from_a_file_to_the_bit(model, tmp_path):
    later = walks(60, seed=1, n_items=MORE)
    model.save(tmp_path / "model")
    loaded, threads = load(tmp_path / "model"), pickle.loads(pickle.dumps(model)).set_params(n_threads=3)
    expected = answers(model.partial_fit(later))
    assert answers(loaded.partial_fit(later)) == answers(threads.partial_fit(later)) == expected
    loaded.save(tmp_path / "again")
    assert answers(load(tmp_path / "again")) == expected


def test_sequences_without_anything_to_learn(model):
    before = answers(model)
    model.partial_fit([[], []])
    assert answers(model) == before
    model.partial_fit([["new"]])
    assert "new" in model.items_ and len(model._sequences) == 903
    model.predict_topk([["new"]], len(model.items_))


def test_bad_sequences_change_nothing(model):
    before = answers(model)
    for sequences, error, message in (
        ([[1, 2]], ValueError, "sequences holds 1 at position 0"),
        ([["i1", None]], ValueError, "sequences must not hold missing items"),
        (["i1"], TypeError, "sequences must hold sequences of items"),
    ):
        with pytest.raises(error, match=message):
            model.partial_fit(sequences)
    with pytest.raises(ValueError, match="n_threads"):
        model.set_params(n_threads=0).partial_fit([["i1", "i2"]])
    assert answers(model.set_params(n_threads=None)) == before


def test_numbers_as_items():
    model = new(hidden_size=4).fit([[1, 5], [5, 1, 9]])
    model.partial_fit([[9, 7, 1], [2, 7]])
    assert model.items_.tolist() == [1, 2, 5, 7, 9]
    assert model.predict([[9]])[0] in (1, 2, 5, 7, 9)


def test_an_interrupted_partial_fit_changes_nothing(model, monkeypatch):
    before = answers(model)

    def partial_fit(self, *args, **kwargs):
        of_classifier(self, *args, **kwargs)
        raise KeyboardInterrupt

    of_classifier = SoftmaxClassifier.partial_fit
    monkeypatch.setattr(SoftmaxClassifier, "partial_fit", partial_fit)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(walks(20, seed=1, n_items=MORE))
    assert answers(model) == before and len(model._sequences) == 900


class CtrlC:
    """Has SIGINT come in one of the trainings of networks, after some steps, or before it begins where `n_steps` is 0.

    The schedule that counts them is called a few times when it is checked, too.
    """

    def __init__(self, monkeypatch, training, n_steps):
        self.n_trainings = 0

        def fit(classifier, X, y):
            self.n_trainings += 1
            if self.n_trainings == training:
                if not n_steps:
                    raise KeyboardInterrupt
                left = [n_steps]

                def schedule(progress):
                    left[0] -= 1
                    if left[0] == 0:
                        signal.raise_signal(signal.SIGINT)
                    return 1.0

                classifier.set_params(schedule=schedule)
                try:
                    return of_classifier(classifier, X, y)
                finally:
                    classifier.set_params(schedule="auto")
            return of_classifier(classifier, X, y)

        of_classifier = SoftmaxClassifier.fit
        monkeypatch.setattr(next_item_network.SoftmaxClassifier, "fit", fit)


def is_usable(model):
    log_proba = model.predict_topk(HISTORIES, N_ITEMS)[1]
    assert_allclose(np.exp(log_proba).sum(axis=1), 1, rtol=1e-4)
    assert len(model._sequences) == 900
    return model.score(walks(100, seed=1))


@pytest.mark.parametrize("n_steps", [0, 8])
@pytest.mark.parametrize("training", [2, 3])
def test_an_interrupted_fit_keeps_the_best_network(training, n_steps, monkeypatch):
    """Trainings 1 and 2 try recipes; the third one is of all sequences."""
    expected = new(max_iter=3).fit(walks(900)).score(walks(100, seed=1))
    ctrl_c = CtrlC(monkeypatch, training, n_steps)
    model = new(max_iter=3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(walks(900))
    assert ctrl_c.n_trainings == training
    assert is_usable(model) > expected - 0.3


def test_a_fit_that_is_interrupted_at_first(monkeypatch):
    ctrl_c = CtrlC(monkeypatch, 1, 8)
    model = new(max_iter=50)
    with pytest.raises(KeyboardInterrupt):
        model.fit(walks(900))
    assert ctrl_c.n_trainings == 1
    is_usable(model)


def test_a_fit_that_is_interrupted_before_it_has_learned_anything(first, model, monkeypatch):
    unfitted = new()
    for each in (unfitted, model):
        with monkeypatch.context() as patch:
            CtrlC(patch, 1, 0)
            with pytest.raises(KeyboardInterrupt):
                each.fit(walks(900))
    assert not hasattr(unfitted, "items_") and answers(model) == answers(first)


def test_a_fit_that_chooses_nothing_can_be_interrupted_too(monkeypatch):
    CtrlC(monkeypatch, 1, 8)
    model = new(max_iter=50)
    with pytest.raises(KeyboardInterrupt):
        model.fit([["a", "b"], ["b", "c", "a"]] * 3)
    assert model.predict_topk([["a"]], 3)[0].shape == (1, 3)
