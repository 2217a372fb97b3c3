"""How much of the catalogue lists have, and how popular their items are, against the definitions row by row."""

from collections import Counter

import numpy as np
import pytest
from fuzz.campaign import examples
from hypothesis import given
from metric_twins import label_sets, popularity_bias, rankings

from fastsoftmax.metrics import coverage_at_k, popularity_at_k, popularity_bias_at_k


@examples(40)
@given(p=rankings())
def test_by_hand(p):
    topk, Y, k = p
    n_classes = Y.shape[1]
    listed = {label for row in topk[:, :k].tolist() for label in row} - {-1}
    assert coverage_at_k(topk, k, n_classes=n_classes) == pytest.approx(len(listed) / n_classes, rel=1e-13)
    counts = np.random.default_rng(0).integers(0, 5, n_classes)
    predicted, bias = popularity_bias(topk[:, :k].tolist(), label_sets(Y), dict(enumerate(counts.tolist())))
    assert popularity_at_k(topk, k, counts) == pytest.approx(predicted, rel=1e-13, nan_ok=True)
    assert popularity_bias_at_k(topk, Y, k, counts) == pytest.approx(bias, rel=1e-12, abs=1e-13, nan_ok=True)
    assert popularity_bias_at_k(topk, label_sets(Y), k, counts) == pytest.approx(bias, abs=1e-13, nan_ok=True)


def test_one_label_a_row_of_any_kind():
    topk = [["a", "b"], ["b", "c"], ["c", ""]]
    counts = Counter(["a"] * 4 + ["b"] * 2 + ["d"])  # c has never been seen
    assert coverage_at_k(topk, 1, list("dcba")) == 0.75
    assert popularity_at_k(topk, 2, counts) == pytest.approx((3 + 1 + 0) / 3)
    assert popularity_bias_at_k(topk, ["d", "d", "c"], 2, counts) == pytest.approx((4 / 3) / (2 / 3) - 1)
    codes = np.array([[0, 1], [1, 2], [2, -1]])
    assert popularity_bias_at_k(codes, [3, 3, 2], 2, [4, 2, 0, 1]) == pytest.approx(1.0)
    objects = np.array([[("a", 1), None], [("b", 2), ("a", 1)]], dtype=object)
    pairs = np.fromiter([("a", 1), ("b", 2), ("c", 3)], object, 3)
    assert coverage_at_k(objects, 2, pairs) == pytest.approx(2 / 3)
    assert popularity_at_k(objects, 1, {("b", 2): 6}) == 3


def test_lists_that_are_all_padding():
    padding = np.full((2, 3), -1)
    assert coverage_at_k(padding, 3, n_classes=4) == 0
    assert np.isnan(popularity_at_k(padding, 3, [1.0]))
    assert np.isnan(popularity_bias_at_k(padding, [0, 0], 3, [1.0]))
    assert np.isnan(popularity_bias_at_k([[0], [0]], [1, 1], 1, [1.0, 0.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coverage_at_k([[0]], 1), "one of classes and n_classes must be given, got neither"),
        (lambda: coverage_at_k([[0]], 1, [0], n_classes=1), "must be given, got both"),
        (lambda: coverage_at_k([[0], [7]], 1, n_classes=7), "topk holds 7 at position 1, which is not among the 7"),
        (lambda: coverage_at_k([[0]], 2, n_classes=7), "topk must have two dimensions and at least 2 columns"),
        (lambda: coverage_at_k([[1, 1]], 2, n_classes=7), "topk must not name a label twice in a row"),
        (lambda: coverage_at_k([[1]], 1, []), "classes must hold at least one label"),
        (lambda: coverage_at_k([[1]], 0, n_classes=2), "k must be at least 1, got 0"),
        (lambda: popularity_at_k([[0]], 1, [-1.0]), "popularity must be finite and not negative, got -1.0"),
        (lambda: popularity_at_k([[0]], 1, [np.inf]), "popularity must be finite and not negative, got inf"),
        (lambda: popularity_at_k([[0]], 1, []), "popularity must have one dimension and at least one number"),
        (lambda: popularity_at_k([[0]], 1, {"a": 1}), "topk holds 0 at position 0.*the classes are strings"),
        (lambda: popularity_bias_at_k([[0]], ["a"], 1, [1]), "y holds 'a' at position 0.*the classes are integers"),
        (lambda: popularity_bias_at_k([[0]], [0, 1], 1, [1]), "topk must have as many rows as y, got 1 and 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
