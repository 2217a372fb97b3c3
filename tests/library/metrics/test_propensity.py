"""Propensity-scored metrics against their definitions, written as loops, and against values by hand."""

import numpy as np
import pytest
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st
from metric_twins import label_sets, rankings
from scipy import sparse

from fastsoftmax.metrics import inverse_propensities, ndcg_at_k, precision_at_k, psndcg_at_k, psp_at_k

METRICS = [psp_at_k, psndcg_at_k]


def by_hand(topk, labels, weights, k):
    """PSP@k and PSnDCG@k from their definitions, a row at a time, as sums over rows of what is found and what is best."""
    psp, psndcg = [0.0, 0.0], [0.0, 0.0]
    for ranking, true in zip(topk, labels, strict=True):
        found = [weights[label] if label != -1 and label in true else 0.0 for label in ranking[:k]]
        best = sorted((weights[label] for label in true), reverse=True)[:k]
        ideal = sum(1 / np.log2(1 + rank) for rank in range(1, len(best) + 1))
        for which, gains in enumerate((found, best)):
            psp[which] += sum(gains)
            if true:
                psndcg[which] += sum(gain / np.log2(1 + rank) for rank, gain in enumerate(gains, 1)) / ideal
    return [found / best if best else 0.0 for found, best in (psp, psndcg)]


def weights_by_hand(labels, n_classes, A, B):
    """1 / propensity of Jain et al., a class at a time."""
    C = (np.log(len(labels)) - 1) * (B + 1) ** A
    counts = [sum(label in row for row in labels) for label in range(n_classes)]
    return [1 + C * (count + B) ** -A for count in counts]


# Propensities


@pytest.mark.parametrize(("A", "B"), [(0.55, 1.5), (0.5, 0.4), (0.6, 2.6), (0, 1)])
def test_inverse_propensities_by_hand(A, B):
    Y = sparse.csr_array(np.random.default_rng(0).random((50, 9)) < [0, *np.linspace(0.02, 0.9, 8)])
    labels = label_sets(Y)
    expected = weights_by_hand(labels, 9, A, B)
    assert expected[0] == max(expected)
    np.testing.assert_allclose(inverse_propensities(Y, A=A, B=B), expected, rtol=1e-14)
    np.testing.assert_allclose(inverse_propensities(Y.toarray().astype(int), A=A, B=B), expected, rtol=1e-14)
    lists = [list(row) for row in labels]
    np.testing.assert_allclose(inverse_propensities(lists, n_classes=9, A=A, B=B), expected, rtol=1e-14)


def test_inverse_propensities_of_four_rows():
    # C = (log 4 - 1) 2.5^0.55; a label of one row gets 1 + C 2.5^-0.55 = log 4, one of two rows 1 + C 3.5^-0.55.
    weights = inverse_propensities([["a", "b"], ["a", "c"], [], ["b"]])
    assert weights == pytest.approx([1.3210317, 1.3210317, 1.3862944], rel=1e-7)


def test_classes_choose_the_order_and_add_labels_without_rows():
    y = ["b", "a", "b", "c", "b"]
    ascending = inverse_propensities(y)
    assert ascending[0] == ascending[2] > ascending[1]
    unseen = 1 + (np.log(5) - 1) * (2.5 / 1.5) ** 0.55
    np.testing.assert_allclose(
        inverse_propensities(y, ["c", "z", "b", "a"]), [ascending[2], unseen, ascending[1], ascending[0]]
    )
    Y = sparse.csr_array(np.eye(3)[[1, 0, 1, 2, 1]])
    np.testing.assert_array_equal(inverse_propensities(Y), ascending)
    np.testing.assert_array_equal(inverse_propensities(Y, ["a", "b", "c"]), ascending)
    np.testing.assert_allclose(inverse_propensities(Y, n_classes=4), [*ascending, unseen])


# Metrics


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_against_the_definitions(k):
    rng = np.random.default_rng(k)
    for density in (0.02, 0.2, 0.7):
        Y = sparse.csr_array(rng.random((80, 11)) < density)
        weights = 1 + rng.exponential(size=11)
        topk = np.array([rng.permutation(11)[:5] for _ in range(80)])
        topk[rng.random(topk.shape) < 0.2] = -1
        expected = by_hand(topk.tolist(), label_sets(Y), weights, k)
        assert 0 < expected[0] < 1
        for form in (Y, Y.toarray().astype(int), [list(row) for row in label_sets(Y)], sparse.csc_array(Y)):
            assert [metric(topk, form, k, weights) for metric in METRICS] == pytest.approx(expected, rel=1e-13)


def test_two_rows_by_hand():
    # Row 0 has labels 0 and 1 of weights 1 and 4, row 1 has label 2 of weight 2.
    topk, y, weights = [[0, 3], [3, 2]], [[0, 1], [2]], [1.0, 4.0, 2.0, 8.0]
    assert psp_at_k(topk, y, 1, weights) == pytest.approx(1 / (4 + 2))
    assert psp_at_k(topk, y, 2, weights) == pytest.approx((1 + 2) / (4 + 1 + 2))
    discount = 1 / np.log2(3)
    found, best = 1 / (1 + discount) + 2 * discount, (4 + discount) / (1 + discount) + 2
    assert psndcg_at_k(topk, y, 2, weights) == pytest.approx(found / best)


@pytest.mark.parametrize("metric", METRICS)
def test_one_label_a_row(metric):
    rng = np.random.default_rng(0)
    y, topk, weights = rng.integers(6, size=50), rng.permuted(np.tile(np.arange(6), (50, 1)), axis=1), rng.random(6)
    Y = sparse.csr_array((np.ones(50), (np.arange(50), y)), shape=(50, 6))
    assert metric(topk, y, 3, weights) == pytest.approx(metric(topk, Y, 3, weights), rel=1e-13)
    names = np.array(list("fabced"))
    named = dict(zip(names, weights, strict=True))
    assert metric(names[topk], names[y], 3, named) == pytest.approx(metric(topk, Y, 3, weights), rel=1e-13)
    assert metric(names[topk], [[name] for name in names[y]], 3, named | {"z": 9}) == metric(topk, Y, 3, weights)


def test_a_dict_names_the_columns_of_an_indicator():
    Y = sparse.csr_array([[0, 1, 0, 1], [0, 0, 0, 1]])
    assert psp_at_k([[1], [1]], Y, 1, {3: 2.0, 1: 6.0}) == psp_at_k([[1], [1]], Y, 1, [1, 6, 1, 2]) == 6 / 8


def test_equal_weights_are_plain_precision_and_ndcg_over_the_best():
    rng = np.random.default_rng(3)
    Y = sparse.csr_array(rng.random((60, 8)) < 0.3)
    topk, n_labels = np.argsort(rng.random((60, 8)), axis=1), np.diff(Y.indptr)
    best = np.mean(np.minimum(n_labels, 3)) / 3
    assert psp_at_k(topk, Y, 3, np.full(8, 5.0)) == pytest.approx(precision_at_k(topk, Y, 3) / best)
    assert psndcg_at_k(topk, Y, 3, np.ones(8)) == pytest.approx(ndcg_at_k(topk, Y, 3) / np.mean(n_labels > 0))


@pytest.mark.parametrize("metric", METRICS)
def test_no_labels_at_all(metric):
    assert metric([[0, 1], [1, 0]], sparse.csr_array((2, 3)), 2, np.ones(3)) == 0
    assert metric([[0, -1], [1, 0]], [[], []], 2, {}) == 0


@examples(60)
@given(p=rankings(), seed=st.integers(0, 2**32))
def test_properties(p, seed):
    """Any order of rows, any numbering of classes and any padding give the same; the best ranking gives 1."""
    topk, Y, k = p
    rng = np.random.default_rng(seed)
    (n, m), labels = Y.shape, label_sets(Y)
    weights = 1 + rng.exponential(10, size=m)
    expected = by_hand(topk.tolist(), labels, weights, k)
    rows, classes = rng.permutation(n), rng.permutation(m)
    renamed = np.where(topk == -1, -1, classes[topk])
    new_columns = np.argsort(classes)  # column j of the renamed is the old class that is called j now
    best = np.full((n, k), -1)
    for row, true in zip(best, labels, strict=True):
        first = sorted(true, key=lambda label: -weights[label])[:k]
        row[: len(first)] = first
    padded = np.hstack([topk, np.full((n, 2), -1)])
    for metric, value in zip(METRICS, expected, strict=True):
        assert metric(topk, Y, k, weights) == pytest.approx(value, rel=1e-12)
        assert metric(topk[rows], Y[rows], k, weights) == pytest.approx(value, rel=1e-12)
        assert metric(renamed, Y[:, new_columns], k, weights[new_columns]) == pytest.approx(value, rel=1e-12)
        assert metric(padded, Y, k, weights) == pytest.approx(value, rel=1e-12)
        assert 0 <= metric(topk, Y, k, weights) <= 1
        assert metric(best, Y, k, weights) == (pytest.approx(1, rel=1e-12) if Y.nnz else 0)


# Errors

Y3 = sparse.csr_array(np.eye(3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: psp_at_k([[0]] * 3, Y3, 1, [1, 2]), ValueError, "inverse_propensities .* 3 columns of y, got 2"),
        (lambda: psp_at_k([[0]] * 3, Y3, 1, [1, 2, 0]), ValueError, "finite and positive, got 0.0 at position 2"),
        (lambda: psp_at_k([[0]] * 3, Y3, 1, [1, np.nan, 1]), ValueError, "finite and positive, got nan at position 1"),
        (
            lambda: psp_at_k([[0]] * 3, Y3, 1, np.ones((3, 1))),
            ValueError,
            r"must have one dimension, got shape \(3, 1\)",
        ),
        (lambda: psp_at_k([[0]] * 3, Y3, 1, list("abc")), TypeError, "inverse_propensities must hold real numbers"),
        (lambda: psp_at_k([[0]] * 3, Y3, 1, {0: 1, 2: 1}), ValueError, "a number for every label of y, got none for 1"),
        (lambda: psp_at_k([["a"]], ["b"], 1, {"a": 1}), ValueError, "for every label of y, got none for 'b'"),
        (lambda: psp_at_k([["a"]], ["b"], 1, [1.0]), ValueError, "for every label of y, got none for 'b'"),
        (lambda: psp_at_k([[1]], [4], 1, np.ones(4)), ValueError, "for every label of y, got none for 4"),
        (lambda: psp_at_k([[0]] * 3, Y3, 2, np.ones(3)), ValueError, "topk must have .* at least 2 columns"),
        (lambda: psp_at_k([[0]] * 3, Y3, 0, np.ones(3)), ValueError, "k must be at least 1, got 0"),
        (lambda: psp_at_k([[0, 0]] * 3, Y3, 2, np.ones(3)), ValueError, "topk must not name a label twice"),
        (lambda: inverse_propensities([1, 2]), ValueError, "y must have at least 3 rows .* got 2"),
        (lambda: inverse_propensities(Y3, A=-1), ValueError, "A must be at least 0, got -1"),
        (lambda: inverse_propensities(Y3, B=0), ValueError, "B must be above 0, got 0"),
        (lambda: inverse_propensities(Y3, [1, 2]), ValueError, "classes must have a label .* 3 columns of y, got 2"),
        (lambda: inverse_propensities(Y3, n_classes=2), ValueError, "n_classes must be at least 3, .* got 2"),
        (lambda: inverse_propensities(Y3, [1, 2, 3], n_classes=3), ValueError, "exclude each other"),
        (lambda: inverse_propensities(list("abc"), ["a", "b"]), ValueError, "y holds 'c', which is not among the 2"),
        (
            lambda: inverse_propensities(list("abc"), ["a", "b", "a"]),
            ValueError,
            "a label twice, got 'a' at position 2",
        ),
        (lambda: inverse_propensities(list("abc"), n_classes=3), ValueError, "y holds 'a', which is not among the 3"),
        (lambda: inverse_propensities([0, 1, 5], n_classes=3), ValueError, "y holds 5, which is not among the 3"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
