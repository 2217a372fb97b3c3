"""Precision, recall and F1 at a threshold against scikit-learn, loops and values by hand."""

import numpy as np
import pytest
from fuzz.campaign import examples
from hypothesis import given
from hypothesis import strategies as st
from metric_twins import label_sets
from scipy import sparse
from sklearn.metrics import precision_recall_fscore_support

from fastsoftmax.metrics import f1_at_threshold, precision_at_threshold, recall_at_threshold
from fastsoftmax.metrics import threshold as module

METRICS = [precision_at_threshold, recall_at_threshold, f1_at_threshold]


def problem(n_samples=90, n_classes=7, seed=0):
    """Scores, an indicator, and thresholds that leave out one class in all; another class is never true."""
    rng = np.random.default_rng(seed)
    scores = rng.random((n_samples, n_classes))
    Y = sparse.csr_array(rng.random((n_samples, n_classes)) < [0.2] * (n_classes - 1) + [0])
    return scores, Y, np.concatenate([[np.inf], rng.random(n_classes - 1)])


def stored(scores, seed=1):
    """A third of the scores as CSR, and all of them with -inf in the place of the others."""
    kept = np.random.default_rng(seed).random(scores.shape) < 0.3
    rows, columns = np.nonzero(kept)
    return sparse.csr_array((scores[kept], (rows, columns)), shape=scores.shape), np.where(kept, scores, -np.inf)


def by_hand(scores, labels, threshold, average):
    """Precision, recall and F1 from their definitions, a row at a time."""
    n_classes = scores.shape[1]
    threshold = np.broadcast_to(threshold, n_classes)
    hits, predicted, true = ([0] * n_classes for _ in range(3))
    for row, own in zip(scores, labels, strict=True):
        for label in range(n_classes):
            is_predicted, is_true = bool(row[label] >= threshold[label]), label in own
            hits[label] += is_predicted and is_true
            predicted[label] += is_predicted
            true[label] += is_true
    if average == "micro":
        hits, predicted, true = [sum(hits)], [sum(predicted)], [sum(true)]
    counts = zip(hits, predicted, true, strict=True)
    of_classes = [(h / p if p else 0, h / t if t else 0, 2 * h / (p + t) if p + t else 0) for h, p, t in counts]
    return np.mean(of_classes, axis=0) if average else np.transpose(of_classes)


@pytest.mark.parametrize("average", ["micro", "macro", None])
@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_against_scikit_learn_and_loops(average, per_class, is_sparse):
    scores, Y, thresholds = problem()
    threshold = thresholds if per_class else 0.5
    given, full = stored(scores) if is_sparse else (scores, scores)
    result = [metric(given, Y, threshold, average=average) for metric in METRICS]
    expected = precision_recall_fscore_support(Y.toarray(), full >= threshold, average=average, zero_division=0)[:3]
    np.testing.assert_allclose(result, expected, rtol=1e-13)
    np.testing.assert_allclose(result, by_hand(full, label_sets(Y), threshold, average), rtol=1e-13)
    assert np.shape(result) == ((3, 7) if average is None else (3,))


def test_by_hand():
    # Class 0: predicted in both rows, true in one. Class 1: predicted and true in row 1. Class 2: true in row 0, not found.
    scores, y = [[0.5, 0.4, 0.1], [0.9, 0.6, 0.2]], [[0, 2], [1]]
    assert [metric(scores, y) for metric in METRICS] == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    assert f1_at_threshold(scores, y, average=None) == pytest.approx([2 / 3, 1, 0])
    assert f1_at_threshold(scores, y, average="macro") == pytest.approx(5 / 9)
    assert f1_at_threshold(scores, y, [0.5, 0.5, 0.1], average=None) == pytest.approx([2 / 3, 1, 2 / 3])


@pytest.mark.parametrize("average", ["micro", "macro", None])
def test_forms_of_labels(average):
    scores, Y, _ = problem()
    lists = [sorted(row) for row in label_sets(Y)]
    names = np.array(list("gbcadfe"))
    expected = f1_at_threshold(scores, Y, average=average)
    for y in (Y.toarray().astype(int), sparse.coo_array(Y), lists, [row * 2 for row in lists]):
        np.testing.assert_array_equal(f1_at_threshold(scores, y, average=average), expected)
    named = [names[row].tolist() for row in lists]
    np.testing.assert_array_equal(f1_at_threshold(scores, named, average=average, classes=names), expected)
    one = np.arange(90) % 7
    Y1 = sparse.csr_array(np.eye(7)[one])
    np.testing.assert_array_equal(
        f1_at_threshold(scores, names[one], average=average, classes=names),
        f1_at_threshold(scores, Y1, average=average),
    )


def test_unsorted_and_repeated_scores_add_up():
    scores = sparse.csr_array((np.array([0.3, 0.4, 0.3]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3))
    assert precision_at_threshold(scores, [{2}], 0.5) == 1
    assert scores.nnz == 3


def test_only_stored_scores_are_predicted():
    scores = sparse.csr_array((np.array([-1.0, 0.0]), (np.array([0, 1]), np.array([0, 1]))), shape=(2, 2))
    assert precision_at_threshold(scores, [0, 1], -2) == 1
    assert precision_at_threshold(scores.toarray(), [0, 1], -2) == 0.5


def test_a_threshold_is_a_number_of_the_scores_type():
    scores = np.array([[0.7]], np.float32)  # less than 0.7 in float64
    assert recall_at_threshold(scores, [0], 0.7) == recall_at_threshold(scores, [0], [0.7]) == 1
    assert recall_at_threshold(scores, [0], 1e300) == 0


def test_dense_scores_are_compared_in_blocks(monkeypatch):
    scores, Y, thresholds = problem()
    expected = f1_at_threshold(scores, Y, thresholds, average=None)
    monkeypatch.setattr(module, "BLOCK", 20)
    np.testing.assert_array_equal(f1_at_threshold(scores, Y, thresholds, average=None), expected)


def test_nothing_predicted_nothing_true():
    for metric in METRICS:
        assert metric(sparse.csr_array((3, 4)), sparse.csr_array((3, 4))) == 0
        assert metric(np.ones((3, 4)), [[], [], []], average="macro") == 0


@examples(60)
@given(rng=st.integers(0, 2**32).map(np.random.default_rng), n=st.integers(1, 20), m=st.integers(1, 9))
def test_properties(rng, n, m):
    """Any order of rows and any numbering of classes give the same, values are in [0, 1], and the truth has 1."""
    Y = sparse.csr_array(rng.random((n, m)) < rng.choice([0.0, 0.2, 0.8]))
    scores, threshold = rng.integers(0, 4, (n, m)) / 4, rng.integers(0, 5, m) / 4
    rows, classes = rng.permutation(n), rng.permutation(m)
    for metric in METRICS:
        for average in ("micro", "macro"):
            value = metric(scores, Y, threshold, average=average)
            moved = metric(scores[rows][:, classes], Y[rows][:, classes], threshold[classes], average=average)
            assert moved == pytest.approx(value, rel=1e-13) and 0 <= value <= 1
            in_csr = sparse.csr_array((scores.ravel(), np.tile(np.arange(m), n), np.arange(n + 1) * m), shape=(n, m))
            assert metric(in_csr, Y, threshold, average=average) == value
        of_classes = metric(sparse.csr_array(Y, dtype=float), Y, average=None)
        np.testing.assert_array_equal(of_classes, np.diff(Y.tocsc().indptr) > 0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": np.ones(3)}, ValueError, r"scores must have two dimensions .* got shape \(3,\)"),
        ({"scores": np.ones((3, 0))}, ValueError, r"scores must have .* at least one column, got shape \(3, 0\)"),
        ({"scores": np.full((3, 3), np.nan)}, ValueError, "scores must not hold NaN"),
        ({"scores": sparse.csr_array(np.full((3, 3), np.nan))}, ValueError, "scores must not hold NaN"),
        ({"scores": np.ones((3, 3), complex)}, TypeError, "scores must hold real numbers"),
        ({"scores": np.ones((2, 3))}, ValueError, "scores must have as many rows as y, got 2 and 3"),
        ({"scores": np.ones((3, 2))}, ValueError, "y must have the 2 columns of the scores, got 3"),
        ({"y": []}, ValueError, "y must have at least one row"),
        ({"y": [0, 1, 3]}, ValueError, "y holds 3, which is not among the 3 classes"),
        ({"y": list("abc")}, ValueError, "y holds 'a', which is not among the 3 classes"),
        ({"y": list("abc"), "classes": list("abd")}, ValueError, "y holds 'c', which is not among the 3 classes"),
        ({"y": list("abc"), "classes": list("abcd")}, ValueError, "classes must .* 3 columns of the scores, got 4"),
        ({"threshold": [0.5, 0.5]}, ValueError, r"threshold must be a number or have shape \(3,\), got shape \(2,\)"),
        ({"threshold": np.nan}, ValueError, "threshold must not hold NaN"),
        ({"threshold": "high"}, TypeError, "threshold must hold real numbers"),
        ({"average": "samples"}, ValueError, "average must be one of 'micro', 'macro', None, got 'samples'"),
    ],
)
@pytest.mark.parametrize("metric", METRICS)
def test_errors(metric, change, error, message):
    arguments = {"scores": np.eye(3), "y": np.eye(3, dtype=int)} | change
    with pytest.raises(error, match=message):
        metric(arguments.pop("scores"), arguments.pop("y"), **arguments)
