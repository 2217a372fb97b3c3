"""Events become sequences, against a loop over the events."""

import numpy as np
import pytest
from fuzz import strategies as s
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax.sequences.events import events_to_sequences, users_and_sequences


def one_by_one(users, items, times):
    """(user, items) in the order of their last events."""
    events = sorted(enumerate(zip(users, items, times, strict=True)), key=lambda event: (event[1][2], event[0]))
    sequences, last = {}, {}
    for at, (user, item, time) in events:
        sequences.setdefault(user, []).append(item)
        last[user] = (time, at)
    order = sorted(sequences, key=last.__getitem__)
    return order, [sequences[user] for user in order]


@examples(60)
@given(rng=s.rngs, n=st.integers(0, 40), kind=st.sampled_from(["int", "float", "date", "none"]))
def test_against_a_loop(rng, n, kind):
    users, items = rng.integers(-3, 4, n), rng.choice(["a", "b", "c"], n).tolist()
    times = {
        "int": rng.integers(0, 6, n),
        "float": rng.integers(0, 6, n) / 2,
        "date": np.datetime64("2020-01-01") + rng.integers(0, 6, n),
        "none": None,
    }[kind]
    order, sequences = one_by_one(users.tolist(), items, range(n) if times is None else times.tolist())
    found, result = users_and_sequences(users, items, times)
    assert (found.tolist(), result) == (order, sequences)
    assert events_to_sequences(users.tolist(), np.array(items, dtype=object), times) == sequences


def test_items_of_any_kind():
    assert events_to_sequences(["u", "v", "u"], [("a", 1), ("b", 2), ("c", 3)], [2, 1, 1]) == [
        [("b", 2)],
        [("c", 3), ("a", 1)],
    ]


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        (([1, 2], [1]), ValueError, "items must be as many as users, got 1 and 2"),
        (([1, 2], [1, 2], [0]), ValueError, "times must be as many as users, got 1 and 2"),
        (([1, 2], [1, 2], [0, np.nan]), ValueError, "times must not be missing, got nan at position 1"),
        (([1], [1], np.array(["NaT"], "M8[s]")), ValueError, "times must not be missing, got NaT at position 0"),
        (([1], [1], ["2020"]), TypeError, "times must be one number or date an event, got an array of <U4"),
        (([1], [1], [[1]]), TypeError, r"times must be one number or date an event.*\(1, 1\)"),
        (([1, None], [1, 2]), ValueError, "users must not hold missing labels, got None at position 1"),
        ((["a"], [np.nan]), ValueError, "items must hold class labels, got nan at position 0"),
    ],
)
def test_errors(events, error, message):
    with pytest.raises(error, match=message):
        events_to_sequences(*events)
