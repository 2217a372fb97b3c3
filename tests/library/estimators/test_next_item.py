"""NextItemModel: its mixture against sums over all items, what it chooses, its files, and bad input."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastsoftmax
from fastsoftmax import NextItemModel
from fastsoftmax.estimators import next_item_fitting, next_item_mixture, next_item_saving
from fastsoftmax.files import tensor_file
from fastsoftmax.metrics import coverage_at_k, every_prefix, hit_at_k
from fastsoftmax.sequences.experts import EXPERTS

N_ITEMS = 40
HISTORIES = [["i3", "i4"], [], ["unknown"], ["i9", "i9", "unknown", "i2"], [f"i{i}" for i in range(N_ITEMS)]]


def walks(n_sequences, seed=0):
    """Sequences that step forward by 1 or 2 on a circle of items, from anywhere."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n_sequences):
        steps = rng.integers(1, 3, rng.integers(1, 8))
        out.append([f"i{i % N_ITEMS}" for i in rng.integers(N_ITEMS) + np.cumsum(steps)])
    return out


@pytest.fixture(scope="module")
def model():
    """A model with all experts, whatever they are worth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(next_item_fitting, "WORTH", -1.0)
        return NextItemModel(hidden_size=8, max_iter=3, random_state=0).fit(walks(800))


def all_log_proba(model, histories):
    """The log-probabilities of all items, (n, n_items), in the order of `items_`."""
    items, log_proba = model.predict_topk(histories, len(model.items_))
    out = np.full(log_proba.shape, -np.inf)
    np.put_along_axis(out, np.searchsorted(model.items_, items), log_proba, axis=1)
    return out


def test_probabilities_of_all_items_add_up_to_one(model):
    np.testing.assert_allclose(np.exp(all_log_proba(model, HISTORIES)).sum(axis=1), 1, rtol=1e-5)


def test_the_mixture_is_the_sum_of_its_parts(model):
    """Of dense distributions of the network and of each expert, where an absent one is the network's."""
    mixture = model._mixture
    assert mixture.experts.keys() == EXPERTS.keys() and mixture.weights.sum(axis=1).max() < 1
    histories = next_item_histories(model, HISTORIES)
    network = np.zeros((len(HISTORIES), N_ITEMS))
    X = mixture.network.features.rows(histories)
    network[:, mixture.network.classifier.classes_] = mixture.network.classifier.predict_proba(X)
    weights = mixture.weights[next_item_mixture.buckets(mixture.counts, histories)]
    expected = (1 - weights.sum(axis=1))[:, None] * network
    for expert, weight in zip(mixture.experts.values(), weights.T, strict=True):
        votes, dense = expert.votes(histories), np.zeros_like(network)
        np.add.at(dense, (votes.row, votes.item), votes.value)
        absent = dense.sum(axis=1) == 0
        dense[absent] = network[absent]
        expected += weight[:, None] * dense
    np.testing.assert_allclose(np.exp(all_log_proba(model, HISTORIES)), expected, rtol=1e-4, atol=1e-9)


def next_item_histories(model, histories):
    from fastsoftmax.sequences.items import encoded

    return encoded(histories, model.items_, "histories").wholes()


def test_the_best_are_those_of_all(model):
    every = all_log_proba(model, HISTORIES)
    for k in (1, 3, N_ITEMS):
        log_proba = model.predict_topk(HISTORIES, k)[1]
        np.testing.assert_allclose(log_proba, -np.sort(-every, axis=1)[:, :k], rtol=1e-6)
    best = every[np.arange(len(HISTORIES)), np.searchsorted(model.items_, model.predict(HISTORIES))]
    np.testing.assert_allclose(best, every.max(axis=1), rtol=1e-6)


def test_it_learns_the_walk(model):
    items = model.predict_topk([[f"i{i}"] for i in range(N_ITEMS)], 2)[0]
    expected = [{f"i{(i + 1) % N_ITEMS}", f"i{(i + 2) % N_ITEMS}"} for i in range(N_ITEMS)]
    assert np.mean([set(row) == two for row, two in zip(items.tolist(), expected, strict=True)]) > 0.9
    assert model.score(walks(100, seed=1)) > np.log(1 / 4)  # of log(1 / 2) at best


def test_seen_items_and_others_can_be_excluded(model):
    every = all_log_proba(model, HISTORIES)
    exclude = [["i5"], ["i0", "i0"], [], ["unknown"], []]
    items, log_proba = model.predict_topk(HISTORIES, N_ITEMS, exclude_seen=True, exclude=exclude)
    for row, (history, barred) in enumerate(zip(HISTORIES, exclude, strict=True)):
        left = [item for item in model.items_ if item not in {*history, *barred}]
        assert set(items[row][log_proba[row] > -np.inf]) == set(left)
        np.testing.assert_allclose(
            log_proba[row, : len(left)], np.sort(every[row, np.isin(model.items_, left)])[::-1], rtol=1e-5
        )
        assert (items[row, len(left) :] == "").all()


def test_log_proba_and_score(model):
    sequences = [["i3", "i4", "unknown", "i6"], ["i1"], []]
    log_proba = model.log_proba(sequences)
    every = all_log_proba(model, [["i3"], ["i3", "i4"]])
    at = np.searchsorted(model.items_, ["i4", "i6"])
    np.testing.assert_allclose(log_proba, every[[0, 1], at], rtol=1e-5)
    assert model.score(sequences) == pytest.approx(log_proba.mean())
    assert np.isnan(model.score([["i1"]]))


def test_rows_do_not_depend_on_others_or_on_blocks(model, monkeypatch):
    items, log_proba = model.predict_topk(HISTORIES, 5)
    for row, history in enumerate(HISTORIES):
        np.testing.assert_allclose(model.predict_topk([history], 5)[1][0], log_proba[row], rtol=1e-5)
    monkeypatch.setattr(next_item_mixture, "ROWS", 2)
    np.testing.assert_array_equal(model.predict_topk(HISTORIES, 5)[0], items)


def test_a_seed_gives_the_same_model_for_any_number_of_threads():
    sequences = walks(300)
    a, b = (NextItemModel(hidden_size=4, random_state=3, n_threads=n).fit(sequences) for n in (1, 3))
    for x, y in zip(a.predict_topk(HISTORIES, 9), b.predict_topk(HISTORIES, 9), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.chosen_ == b.chosen_


def test_threads_can_be_changed_after_fit(model):
    other = pickle.loads(pickle.dumps(model)).set_params(n_threads=3)
    np.testing.assert_array_equal(other.predict_topk(HISTORIES, 5)[0], model.predict_topk(HISTORIES, 5)[0])
    assert other._mixture.experts["neighbours"].n_threads == 3
    with pytest.raises(ValueError, match="n_threads"):
        other.set_params(n_threads=0).predict(HISTORIES)


def test_what_was_chosen(model, capsys):
    assert set(model.chosen_["weights"]) <= set(EXPERTS) and model.chosen_["log_likelihood"] < 0
    NextItemModel(hidden_size=4, max_iter=2, random_state=0, verbose=1).fit(walks(800))
    assert "2 epochs: perplexity" in capsys.readouterr().err


def test_experts_that_bring_nothing_are_left_out(model):
    every, few = model.chosen_, NextItemModel(hidden_size=8, max_iter=3, random_state=0).fit(walks(800)).chosen_
    assert every["weights"].keys() == EXPERTS.keys() > few["weights"].keys()
    assert few["log_likelihood"] > every["log_likelihood"] - next_item_fitting.WORTH * len(EXPERTS)


def test_few_sequences_choose_nothing(capsys):
    model = NextItemModel(hidden_size=4, random_state=0, verbose=1).fit([["a", "b"], ["b", "c", "a"]])
    assert "too few rows" in capsys.readouterr().err
    assert model.chosen_["log_likelihood"] is None
    assert model.predict_topk([["a"]], 3)[0].shape == (1, 3)


def test_files_and_pickles_hold_the_model(model, tmp_path):
    path = tmp_path / "model.fsm"
    model.save(path)
    expected = model.predict_topk(HISTORIES, 7)
    for other in (fastsoftmax.load(path), NextItemModel.load(path), pickle.loads(pickle.dumps(model))):
        assert isinstance(other, NextItemModel) and other.chosen_ == model.chosen_
        assert other.get_params() == model.get_params()
        for x, y in zip(expected, other.predict_topk(HISTORIES, 7), strict=True):
            np.testing.assert_array_equal(x, y)


def test_damaged_files_are_refused(model, tmp_path):
    path = tmp_path / "model.fsm"
    model.save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not a complete fastsoftmax model"):
        NextItemModel.load(path)
    path.write_bytes(data[:-100])
    with pytest.raises(ValueError):
        fastsoftmax.load(path)


def test_files_of_models_with_one_expert(tmp_path, monkeypatch):
    """Its weights are a column of a larger array."""
    monkeypatch.setattr(next_item_fitting, "EXPERTS", {"followers": EXPERTS["followers"]})
    monkeypatch.setattr(next_item_fitting, "WORTH", -1.0)
    model = NextItemModel(hidden_size=4, max_iter=1, random_state=0).fit(walks(800))
    assert list(model.chosen_["weights"]) == ["followers"]
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(NextItemModel.load(tmp_path / "model").predict(HISTORIES), model.predict(HISTORIES))


@pytest.mark.parametrize(
    "change",
    [
        {"weights": lambda a: 5 * (a + 1)},
        {"weights": lambda a: a + np.nan},
        {"weights": lambda a: a[:, :-1]},
        {"sequences.ids": lambda a: a + 1000},
        {"sequences.indptr": lambda a: a + 1},
        {"params": {"n_threads": "x"}},
        {"experts": ["neighbours"] * 5},
        {"features": {"places": 3}},
    ],
)
def test_crafted_files_are_refused(model, tmp_path, change):
    path = tmp_path / "model.fsm"
    model.save(path)
    header, tensors = tensor_file.read(path, next_item_saving.FORMAT, (next_item_saving.VERSION,))
    del header["crc32"]
    ((name, new),) = change.items()
    if name in tensors:
        tensors[name] = np.ascontiguousarray(new(tensors[name]))
    else:
        header[name] = header[name] | new if isinstance(new, dict) else new
    tensor_file.write(path, tensors, header)
    with pytest.raises(ValueError, match="not a complete fastsoftmax model"):
        fastsoftmax.load(path)


def test_items_may_be_numbers_or_tuples():
    for sequences in ([[1, 2], [2, 3, 1]], [[("a", 1), ("b", 2)], [("b", 2), ("a", 1)]]):
        model = NextItemModel(hidden_size=4, random_state=0).fit(sequences)
        assert model.predict(sequences)[0] in sequences[1]


def test_before_fit_and_clones():
    for call in (lambda m: m.predict_topk([["a"]]), lambda m: m.score([["a"]]), lambda m: m.save("x")):
        with pytest.raises(NotFittedError):
            call(NextItemModel())
    assert clone(NextItemModel(hidden_size=3)).hidden_size == 3


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"hidden_size": 0}, ValueError, "hidden_size"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"validation_fraction": 0.6}, ValueError, "validation_fraction"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"verbose": -1}, ValueError, "verbose"),
        ({"random_state": "x"}, (TypeError, ValueError), "random_state"),
    ],
)
def test_parameters(params, error, message):
    with pytest.raises(error, match=message):
        NextItemModel(**params).fit([["a", "b"]])


def test_bad_sequences_and_histories(model):
    for sequences, message in (
        ([["a"], ["b"]], "at least two items"),
        ([["a", "a"]], "two different items"),
        ([["a", "b"]], "two different items"),
        ([], "must hold items"),
    ):
        with pytest.raises(ValueError, match=message):
            NextItemModel().fit(sequences)
    with pytest.raises(TypeError, match="histories"):
        model.predict_topk(["i3"])
    with pytest.raises(ValueError, match="k must be"):
        model.predict_topk(HISTORIES, 0)
    with pytest.raises(MemoryError, match="k may be smaller"):
        model.predict_topk(HISTORIES, 10**12)
    with pytest.raises(ValueError, match="exclude must have a sequence for each of the 5 histories, got 1"):
        model.predict_topk(HISTORIES, 3, exclude=[["i1"]])
    assert model.predict_topk([], 3)[0].shape == (0, 3)
    assert model.predict_topk(HISTORIES, N_ITEMS + 5)[0].shape == (5, N_ITEMS + 5)


def test_evaluate(model):
    """As by the items of `predict_topk`; an item that the model does not know is a miss."""
    sequences = [*walks(20, seed=7), ["i1", "new"]]
    histories, y = every_prefix(sequences)
    items = model.predict_topk(list(histories), 3, exclude_seen=True)[0]
    result = model.evaluate(sequences, [1, 3], exclude_seen=True)
    assert (result["n"], result["n_unknown"]) == (len(y), 1)
    assert result["hit@3"] > 0.5 and result["hit@3"] == pytest.approx(hit_at_k(items, y, 3))
    assert result["coverage@1"] == pytest.approx(coverage_at_k(items, 1, model.items_))
    assert model.evaluate(sequences, protocol="last")["n"] == sum(len(sequence) > 1 for sequence in sequences)
