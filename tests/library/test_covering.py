"""The selections that stand for whole products in other tests."""

import itertools

import pytest
from covering import selection


@pytest.mark.parametrize("strength", [1, 2, 3, 9])
@pytest.mark.parametrize("sizes", [(3,), (2, 5), (3, 7, 2), (3, 2, 6, 2, 4), (1, 3, 1, 4)], ids=str)
def test_all_values_meet(sizes, strength):
    values = [[f"{i}.{j}" for j in range(n)] for i, n in enumerate(sizes)]
    selected = selection(*values, strength=strength)
    assert set(selected) <= set(itertools.product(*values)) and len(set(selected)) == len(selected)
    for group in itertools.combinations(range(len(sizes)), min(strength, len(sizes))):
        met = {tuple(case[i] for i in group) for case in selected}
        assert met == set(itertools.product(*(values[i] for i in group)))


def test_they_are_much_smaller():
    assert len(selection(*map(range, (3, 7, 5, 4, 2, 2)), strength=2)) < 60
    assert len(selection(*map(range, (3, 7, 5, 4, 2, 2)), strength=3)) < 200
