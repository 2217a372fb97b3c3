from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax.text import keys as keys_module
from fastsoftmax.text.keys import KeyCounts, find

KEYS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9), max_size=30)


@pytest.mark.parametrize("sort_from", [0, 2**16])
@given(table=KEYS, keys=KEYS)
def test_find(sort_from, table, keys):
    table, keys = np.unique(np.array(table, dtype=np.int64)), np.array(keys, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys_module, "SORT_FROM", sort_from)
        place, there = find(table, keys)
    assert there.tolist() == [key in table for key in keys]
    assert np.array_equal(table[place[there]], keys[there])
    assert np.all((place >= 0) & (place < max(len(table), 1)))


@given(parts=st.lists(KEYS, max_size=6), min_count=st.integers(1, 3))
def test_counts(parts, min_count):
    counts = KeyCounts()
    for part in parts:
        counts.add(np.array(part, dtype=np.int64))
    expected = Counter(key for part in parts for key in part)
    assert counts.at_least(min_count).tolist() == sorted(key for key in expected if expected[key] >= min_count)


def test_counts_of_narrow_keys():
    counts = KeyCounts()
    counts.add(np.array([3, 3, 1], dtype=np.int8))
    assert counts.at_least(1).dtype == np.int64
    counts.add(np.array([1000, 1000], dtype=np.int16))
    assert counts.at_least(2).tolist() == [3, 1000]
