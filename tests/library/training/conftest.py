"""Rows with several labels, and the model trained on them by default; tests of other rows have fixtures of their own."""

import pytest
from several_labels import make_data, small


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def test_rows():
    return make_data(500, seed=1)


@pytest.fixture(scope="module")
def ranked(data):
    return small().fit(*data)
