"""Counts of items near each other against loops, and the experts' distributions."""

import numpy as np
import pytest
from test_nearest import as_lists, random_sequences

from fastsoftmax.sequences import counted
from fastsoftmax.sequences.experts import EXPERTS
from fastsoftmax.sequences.histories import Sequences

N_ITEMS = 12


@pytest.fixture(scope="module")
def sequences():
    return random_sequences(np.random.default_rng(3), 50, n_items=N_ITEMS)


def test_follower_counts(sequences):
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for items in as_lists(sequences):
        for i, first in enumerate(items):
            for j in range(i + 1, min(i + counted.NEAR + 1, len(items))):
                expected[first, items[j]] += counted.DECAY ** (j - i - 1)
    np.testing.assert_allclose(counted.follower_counts(sequences, N_ITEMS).toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize("product", [1, 40, 1 << 25])
def test_companions(monkeypatch, sequences, product):
    monkeypatch.setattr(counted, "PRODUCT", product)
    expected, n_sequences = np.zeros((N_ITEMS, N_ITEMS)), np.zeros(N_ITEMS)
    for items in map(set, as_lists(sequences)):
        for first in items:
            n_sequences[first] += 1
            for second in items - {first}:
                expected[first, second] += len(items) ** -counted.SHARE
    expected *= np.maximum(n_sequences, 1) ** -counted.POPULARITY
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(counted.companion_distributions(sequences, N_ITEMS).toarray(), expected, rtol=1e-5)


def test_companions_of_the_last_items_of_long_sequences(monkeypatch):
    monkeypatch.setattr(counted, "LONGEST", 2)
    sequences = Sequences(np.array([0, 1, 2], np.int32), np.array([0, 3]))
    expected = [[0, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert counted.companion_distributions(sequences, 3).toarray().tolist() == expected


def test_distributions_keep_the_largest(monkeypatch, sequences):
    monkeypatch.setattr(counted, "MOST", 4)
    counts = counted.follower_counts(sequences, N_ITEMS).toarray()
    kept = counted.distributions(counted.follower_counts(sequences, N_ITEMS)).toarray()
    np.testing.assert_allclose(kept.sum(axis=1), (counts.sum(axis=1) > 0), rtol=1e-6)
    for row, of_row in zip(counts, kept, strict=True):
        assert np.count_nonzero(of_row) == min(4, np.count_nonzero(row))
        assert row[of_row > 0].min() >= np.sort(row)[-4]


@pytest.mark.parametrize("name", EXPERTS)
def test_votes_of_a_row_add_up_to_one_or_there_are_none(name, sequences):
    histories = random_sequences(np.random.default_rng(4), 40, n_items=N_ITEMS).wholes()
    votes = EXPERTS[name](sequences, N_ITEMS, 1).votes(histories)
    total = np.bincount(votes.row, votes.value, histories.n_rows)
    assert (np.diff(votes.row) >= 0).all() and (votes.value > 0).all()
    np.testing.assert_allclose(total[np.unique(votes.row)], 1, rtol=1e-5)
    assert (total[histories.lengths == 0] == 0).all() and (total[histories.lengths > 0] > 0).any()


@pytest.mark.parametrize("name", EXPERTS)
def test_votes_of_a_row_do_not_depend_on_others(name, sequences):
    expert = EXPERTS[name](sequences, N_ITEMS, 1)
    histories = random_sequences(np.random.default_rng(5), 9, n_items=N_ITEMS).wholes()
    dense = dense_votes(expert.votes(histories), 9)
    for row in range(9):
        np.testing.assert_allclose(dense_votes(expert.votes(histories.rows([row])), 1)[0], dense[row], rtol=1e-6)


def dense_votes(votes, n_rows):
    out = np.zeros((n_rows, N_ITEMS))
    np.add.at(out, (votes.row, votes.item), votes.value)
    return out


@pytest.mark.parametrize("name", EXPERTS)
def test_one_history_gets_what_it_gets_among_others(name, sequences):
    expert = EXPERTS[name](sequences, N_ITEMS, 1)
    histories = random_sequences(np.random.default_rng(6), 40, longest=70, n_items=N_ITEMS + 3).wholes()
    histories = histories._replace(ids=np.minimum(histories.ids, N_ITEMS - 1))
    dense, n_known = dense_votes(expert.votes(histories), histories.n_rows), 0
    for row in range(histories.n_rows):
        begin = histories.begins[row]
        votes, mine = expert.of_one(histories.ids[begin : begin + histories.lengths[row]].tolist()), np.zeros(N_ITEMS)
        assert (votes is None) == (not dense[row].any())
        if votes is not None:
            np.add.at(mine, *votes)
            n_known += 1
        np.testing.assert_allclose(mine, dense[row], rtol=1e-5, atol=1e-9)
    assert n_known and expert.of_one([]) is None
