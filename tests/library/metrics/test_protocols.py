"""Sequences as rows to be tested on, against a loop over them."""

import itertools

import numpy as np
import pytest
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax.metrics import every_prefix, leave_one_out

sequence_lists = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=6)


def end_to_end(sequences):
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    return np.fromiter(itertools.chain(*sequences), np.int32), np.cumsum(lengths) - lengths


def as_lists(ids, starts):
    return [part.tolist() for part in np.split(ids, starts[1:])] if len(starts) else []


def prefixes(sequence, first):
    """(history, target) of the items from place `first` on."""
    return [(sequence[:i], sequence[i]) for i in range(first, len(sequence))]


def pairs(histories, targets):
    return list(zip(map(list, histories), list(targets), strict=True))


@examples(60)
@given(sequences=sequence_lists)
def test_every_prefix(sequences):
    expected = [row for sequence in sequences for row in prefixes(sequence, 1)]
    assert pairs(*every_prefix(sequences)) == expected
    assert pairs(*every_prefix(tuple(map(tuple, sequences)))) == expected
    histories, targets = every_prefix(end_to_end(sequences))
    assert pairs(histories, targets) == expected
    assert targets.dtype == np.int32 and isinstance(targets, np.ndarray)


@examples(60)
@given(sequences=sequence_lists, n_last=st.integers(1, 3))
def test_leave_one_out(sequences, n_last):
    split = [sequence for sequence in sequences if len(sequence) > n_last]
    expected = [row for sequence in split for row in prefixes(sequence, len(sequence) - n_last)]
    kept = [sequence[:-n_last] if len(sequence) > n_last else sequence for sequence in sequences]
    train, *rows = leave_one_out(sequences, n_last)
    assert train == kept and pairs(*rows) == expected
    train, *rows = leave_one_out(end_to_end(sequences), n_last)
    assert as_lists(*train) == kept and pairs(*rows) == expected


def test_the_usual_split():
    rest, *test = leave_one_out([["a", "b", "c", "d"], ["e", "f"]])
    train, *validation = leave_one_out(rest)
    assert train == [["a", "b"], ["e"]]
    assert pairs(*validation) == [(["a", "b"], "c")]
    assert pairs(*test) == [(["a", "b", "c"], "d"), (["e"], "f")]


def test_histories_are_a_sequence():
    histories, targets = every_prefix([[(1, 2), (3,), "x"], ["y"], ["z", "w"]])
    assert len(histories) == 3 and histories[1] == [(1, 2), (3,)] and histories[-1] == ["z"]
    assert list(histories[1:]) == [[(1, 2), (3,)], ["z"]] and len(histories[:0]) == 0
    assert targets == [(3,), "x", "w"]
    with pytest.raises(IndexError):
        histories[3]


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        (5, TypeError, "sequences must be an iterable of sequences of items, got 5"),
        ("abc", TypeError, "sequences must be an iterable of sequences of items, got 'abc'"),
        ([[1], "abc"], TypeError, "sequences must hold sequences of items, got 'abc' at position 1"),
        ([[1], {2}], TypeError, "sequences must hold sequences of items, got .2. at position 1"),
        ((np.arange(3), np.array([1])), ValueError, "starts must begin with 0"),
        ((np.arange(3), np.array([0, 2, 1])), ValueError, "starts must not descend, got 1 at position 2 after 2"),
        ((np.arange(3), np.array([0, 4])), ValueError, r"starts must be from 0 to the number of tokens \(3\)"),
        ((np.arange(3), np.array([0.5])), TypeError, "starts"),
        ((np.zeros((2, 2)), np.array([0])), ValueError, "ids must have one dimension"),
    ],
)
@pytest.mark.parametrize("protocol", [every_prefix, leave_one_out])
def test_errors(protocol, sequences, error, message):
    with pytest.raises(error, match=message):
        protocol(sequences)


def test_n_last_is_positive():
    with pytest.raises(ValueError, match="n_last must be at least 1, got 0"):
        leave_one_out([[1, 2]], 0)
