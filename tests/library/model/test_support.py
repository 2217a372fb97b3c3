import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from fastsoftmax import linear_cross_entropy, support
from fastsoftmax.runtime import memory


def counted(X, y, n_classes):
    X = X.toarray() if sp.issparse(X) else X
    counts = np.zeros((n_classes, X.shape[1]))
    for row, k in zip(X, y, strict=True):
        counts[k] += row != 0
    return counts


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array, sp.coo_array, lambda X: X.toarray()])
def test_counts(sparse_X, kind):
    """Double entries count once, zeros do not count, and X stays as it is."""
    X, y = sparse_X(40, 12), np.random.default_rng(1).integers(0, 7, 40)
    before = X.copy()
    counts, expected = support(kind(X), y), counted(X, y, y.max() + 1)
    assert counts.format == "csc" and counts.dtype == np.float32 and counts.indices.dtype == np.int32
    assert counts.has_canonical_format
    assert_array_equal(counts.toarray(), expected)
    assert counts.nnz == np.count_nonzero(expected)
    assert_array_equal(X.data, before.data)
    assert_array_equal(X.indices, before.indices)


def test_pruning(sparse_X):
    X, y = sparse_X(200, 12), np.random.default_rng(1).integers(0, 7, 200)
    expected = counted(X, y, 9)
    assert_array_equal(support(X, y, n_classes=9).toarray(), expected)
    expected[expected < 3] = 0
    assert_array_equal(support(X, y, 3, n_classes=9).toarray(), expected)
    expected[:, (expected > 0).sum(axis=0) > 4] = 0
    assert expected.any()
    pruned = support(X, y, 3, 4, n_classes=9)
    assert_array_equal(pruned.toarray(), expected)
    assert pruned.nnz == np.count_nonzero(expected)


def test_a_step_along_it(sparse_X):
    X, y = sparse_X(40, 12), np.random.default_rng(1).integers(0, 7, 40)
    W = support(X, y)
    W.data.fill(0)
    loss, (_, dW, _) = linear_cross_entropy(X, W, y, return_grad=True)
    W.data -= 0.1 * dW
    assert linear_cross_entropy(X, W, y) < loss


def test_nothing():
    X = sp.csr_array((0, 3))
    assert support(X, np.empty(0, int), n_classes=2).shape == (2, 3)
    assert support(sp.csr_array((2, 3)), np.array([0, 1])).nnz == 0
    with pytest.raises(ValueError, match="y must not be empty where n_classes is not given"):
        support(X, np.empty(0, int))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": np.array([0, -1])}, ValueError, "y must be in .*got -1 at position 1"),
        ({"y": np.array([0, 5]), "n_classes": 5}, ValueError, r"y must be in \[0, 5\), got 5"),
        ({"y": np.array([0.0, 1.0])}, TypeError, "y must hold integer class codes"),
        ({"y": np.array([0])}, ValueError, r"y must have shape \(2,\)"),
        ({"min_count": 0}, ValueError, "min_count must be at least 1"),
        ({"max_classes_per_feature": 0}, ValueError, "max_classes_per_feature must be at least 1"),
        ({"n_classes": 0}, ValueError, "n_classes must be at least 1"),
        ({"X": np.full((2, 3), np.nan)}, ValueError, "X must be finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        support(**({"X": np.ones((2, 3)), "y": np.array([0, 1])} | arguments))


def test_memory_said_first(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(MemoryError, match=r"the support needs .*24 bytes for each of 6 entries"):
        support(np.ones((2, 3)), np.array([0, 1]))
