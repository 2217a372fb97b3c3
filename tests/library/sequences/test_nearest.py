"""The nearest sequences against a readable twin in float64."""

import numpy as np
import pytest

from fastsoftmax.sequences import neighbours
from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.sequences.neighbours import NearestSequences

N_ITEMS = 30


def random_sequences(rng, n_sequences, longest=9, n_items=N_ITEMS):
    lengths = rng.integers(0, longest + 1, n_sequences)
    ids = rng.integers(0, n_items, lengths.sum()).astype(np.int32)
    return Sequences(ids, np.append(0, np.cumsum(lengths)).astype(np.int64))


def as_lists(sequences):
    return [sequences.ids[a:b].tolist() for a, b in zip(sequences.indptr[:-1], sequences.indptr[1:], strict=True)]


def twin(sequences, history, k, most_recent):
    """The distribution as a dict, by loops."""
    lists = as_lists(sequences)
    back = {}
    for i, item in enumerate(reversed(history[-neighbours.LENGTH :])):
        back.setdefault(item, i)
    similarity = {}
    for item, places in back.items():
        containing = [s for s, items in enumerate(lists) if item in items][-most_recent:]
        for s in containing:
            similarity[s] = similarity.get(s, 0.0) + neighbours.WEIGHT**places
    votes = {}
    for s in sorted(similarity, key=lambda s: (round(similarity[s], 5), s), reverse=True)[:k]:
        items = lists[s]
        nearest = min(back[item] for item in items if item in back)
        anchor = max(i for i, item in enumerate(items) if back.get(item) == nearest)
        for i, item in enumerate(items):
            distance = i - anchor
            if abs(distance) <= neighbours.REACH:
                side = neighbours.BEFORE if distance < 0 else neighbours.HERE if distance == 0 else 1.0
                vote = max(side * neighbours.AHEAD ** abs(distance), 1e-6)
                votes[item] = votes.get(item, 0.0) + similarity[s] * neighbours.VOTE**nearest * vote
    total = sum(votes.values())
    return {item: vote / total for item, vote in votes.items()}


def found(nearest, sequences, n_threads=1):
    """The distributions of whole sequences as histories, a dict a row."""
    out = [{} for _ in range(len(sequences))]
    for row, item, proba in zip(*nearest.votes(sequences.wholes(), n_threads), strict=True):
        assert item not in out[row]
        out[row][int(item)] = float(proba)
    return out


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize(("k", "most_recent"), [(100, 1000), (3, 1000), (100, 4), (1, 1)])
def test_votes_equal_the_twin(monkeypatch, n_threads, k, most_recent):
    monkeypatch.setattr(neighbours, "N_NEIGHBOURS", k)
    monkeypatch.setattr(neighbours, "MOST_RECENT", most_recent)
    rng = np.random.default_rng(k + most_recent)
    sequences, histories = random_sequences(rng, 60), random_sequences(rng, 40, longest=25)
    nearest = NearestSequences(sequences, N_ITEMS)
    for row, history in zip(found(nearest, histories, n_threads), as_lists(histories), strict=True):
        expected = twin(sequences, history, k, most_recent)
        assert row.keys() == expected.keys()
        np.testing.assert_allclose([row[item] for item in expected], list(expected.values()), rtol=2e-4)


def test_items_beyond_the_reach_get_no_votes(monkeypatch):
    monkeypatch.setattr(neighbours, "REACH", 2)
    sequences = Sequences(np.arange(9, dtype=np.int32), np.array([0, 9]))
    history = Sequences(np.array([4], np.int32), np.array([0, 1]))
    assert found(NearestSequences(sequences, N_ITEMS), history)[0].keys() == {2, 3, 4, 5, 6}


def test_same_bits_for_any_number_of_threads_and_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    sequences, histories = random_sequences(rng, 300), random_sequences(rng, 100)
    one = NearestSequences(sequences, N_ITEMS).votes(histories.wholes(), 1)
    monkeypatch.setattr(neighbours, "ROWS", 7)
    for n_threads in (2, 4):
        for a, b in zip(one, NearestSequences(sequences, N_ITEMS).votes(histories.wholes(), n_threads), strict=True):
            np.testing.assert_array_equal(a, b)


def test_one_item_of_a_history_that_no_sequence_has_and_no_histories():
    sequences = Sequences(np.array([0, 1], np.int32), np.array([0, 2]))
    nearest = NearestSequences(sequences, N_ITEMS)
    histories = Sequences(np.array([7, 0], np.int32), np.array([0, 1, 1, 2]))
    assert [sorted(row) for row in found(nearest, histories)] == [[], [], [0, 1]]
    assert [len(a) for a in nearest.votes(histories.wholes().rows(slice(0, 0)), 1)] == [0, 0, 0]


def test_scratch_is_clean_after_each_row():
    rng = np.random.default_rng(1)
    sequences, histories = random_sequences(rng, 50), random_sequences(rng, 20)
    nearest = NearestSequences(sequences, N_ITEMS)
    first = found(nearest, histories)
    assert found(nearest, histories) == first
    assert found(NearestSequences(sequences, N_ITEMS), histories) == first


def test_the_last_items_of_long_sequences_count(monkeypatch):
    monkeypatch.setattr(neighbours, "LONGEST", 2)
    nearest = NearestSequences(Sequences(np.array([0, 1, 2], np.int32), np.array([0, 3])), N_ITEMS)
    histories = Sequences(np.array([0, 1], np.int32), np.array([0, 1, 2]))
    assert [sorted(row) for row in found(nearest, histories)] == [[], [1, 2]]
