"""What the linear functions take as a sparse W, and what they refuse."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import PreparedWeights, linear_cross_entropy, linear_logsumexp, linear_topk
from fastsoftmax.passes import pairs


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("kind", [sp.csc_array, sp.csc_matrix, sp.csr_array, sp.coo_array])
def test_kinds_of_W(problem, kind, index_dtype):
    X, W, bias, target = problem(30, 123, 13, 0.1)
    expected = linear_cross_entropy(X, W, target, bias, return_grad=True)
    other = kind(W)
    if hasattr(other, "indices"):
        other.indices, other.indptr = other.indices.astype(index_dtype), other.indptr.astype(index_dtype)
    loss, (_, dW, dbias) = linear_cross_entropy(X, other, target, bias, return_grad=True)
    assert loss == expected[0]
    assert_array_equal(dW, expected[1][1])
    assert_array_equal(dbias, expected[1][2])


@pytest.mark.parametrize("make", [lambda X: X.toarray(), sp.csc_array, sp.coo_array], ids=["dense", "CSC", "COO"])
def test_kinds_of_X(problem, make):
    X, W, bias, target = problem(30, 123, 13, 0.1)
    expected_loss, (_, expected_dW, _) = linear_cross_entropy(X, W, target, bias, return_grad=True)
    loss, (dX, dW, _) = linear_cross_entropy(make(X), W, target, bias, return_grad=True, gradient_threshold=0.1)
    assert dX is None
    assert_allclose(loss, expected_loss, rtol=1e-12)
    assert_allclose(dW, expected_dW, rtol=1e-9, atol=1e-14)


def test_unsorted_and_double_elements(problem):
    """Double elements are added up on a copy."""
    X, _, bias, target = problem(30, 5, 2, 0.1)
    W = sp.csc_array((np.arange(1.0, 6.0), np.array([3, 1, 3, 4, 0]), np.array([0, 3, 5])), shape=(5, 2))
    before = [a.copy() for a in (W.data, W.indices, W.indptr)]
    for a in (W.data, W.indices, W.indptr):
        a.flags.writeable = False
    canonical = sp.csc_array(W.toarray())
    loss, (_, dW, dbias) = linear_cross_entropy(X, W, target, bias, return_grad=True)
    expected_loss, (_, expected_dW, expected_dbias) = linear_cross_entropy(X, canonical, target, bias, return_grad=True)
    assert loss == expected_loss and len(dW) == 4
    assert_array_equal(dW, expected_dW)
    assert_array_equal(dbias, expected_dbias)
    for a, b in zip((W.data, W.indices, W.indptr), before, strict=True):
        assert_array_equal(a, b)


def test_nothing_to_average(problem):
    X, W, bias, target = problem(4, 9, 3, 0.5)
    loss, (_, dW, dbias) = linear_cross_entropy(X[:0], W, target[:0], bias, return_grad=True)
    assert np.isnan(loss) and not dW.any() and not dbias.any()
    loss, (_, dW, dbias) = linear_cross_entropy(X, W, np.full(4, -100), bias, return_grad=True)
    assert np.isnan(loss) and not dW.any() and not dbias.any()
    assert [a.shape for a in linear_topk(X[:0], W, 2)] == [(0, 2), (0, 2)]
    assert linear_logsumexp(X[:0], W).shape == (0,)
    no_features = sp.csc_array((9, 0))
    assert_allclose(linear_logsumexp(np.empty((2, 0)), no_features, bias), np.full(2, reference.logsumexp(bias)[0]))
    assert linear_cross_entropy(np.empty((2, 0)), no_features, target[:2], bias, return_grad=True)[1][1].shape == (0,)


def W_with(**parts):
    W = sp.csc_array((np.ones(2), np.array([0, 1]), np.array([0, 1, 2, 2])), shape=(9, 3))
    for name, a in parts.items():
        setattr(W, name, np.array(a))
    return W


@pytest.mark.parametrize(
    ("W", "error", "message"),
    [
        (sp.csc_array((9, 4)), ValueError, "X has 3 features, but 4 are expected"),
        (sp.csc_array((0, 3)), ValueError, r"W must be 2-D with 1 to 2\*\*31 - 1 classes .*\(0, 3\)"),
        (W_with(data=[1.0, np.nan]), ValueError, "W must be finite, got nan for class 1, feature 1"),
        (W_with(data=[np.inf, 1.0]), ValueError, "W must be finite, got inf for class 0, feature 0"),
        (W_with(data=[1j, 1.0]), TypeError, "W must hold real numbers.*complex128"),
        (W_with(indices=[0, 9]), ValueError, r"W.indices must be in \[0, 9\), got 9"),
        (W_with(indices=[-1, 0]), ValueError, r"W.indices must be in \[0, 9\), got -1"),
        (W_with(indptr=[0, 2, 1, 2]), ValueError, "W.indptr does not describe"),
        (W_with(indptr=[0, 1, 2, 7]), ValueError, "W.indptr does not describe"),
        (W_with(data=np.ones(3)), ValueError, "W.indices has 2 entries, but W.data 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_W(W, error, message):
    X, target = np.ones((2, 3)), np.array([0, 0])
    for call in (
        lambda: linear_cross_entropy(X, W, target),
        lambda: linear_logsumexp(X, W),
        lambda: linear_topk(X, W, 1),
    ):
        with pytest.raises(error, match=message):
            call()


def test_integers_in_W():
    W, X = sp.csc_array(np.array([[1, 0], [0, 2], [3, 1]])), np.ones((1, 2))
    assert linear_logsumexp(X, W).dtype == np.float64
    assert_allclose(linear_logsumexp(X, W), reference.linear_logsumexp(X, W), rtol=1e-14)


@pytest.mark.parametrize("beside", [False, True], ids=["biases", "biases_beside_weights"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prepared_weights(monkeypatch, problem, dtype, beside):
    monkeypatch.setattr(pairs, "PAIRED_FROM", 0 if beside else 1 << 62)
    X, W, bias, target = problem(30, 123, 13, 0.1, dtype)
    for b in (bias, None):
        prepared = PreparedWeights(W, b)
        assert_allclose(linear_logsumexp(X, prepared), linear_logsumexp(X, W, b), rtol=1e-6)
        for a, c in zip(linear_topk(X, prepared, 5), linear_topk(X, W, 5, b), strict=True):
            assert_allclose(a, c, rtol=1e-6)
        loss, gradients = linear_cross_entropy(X, prepared, target, return_grad=True, label_smoothing=0.1)
        expected, expected_gradients = linear_cross_entropy(X, W, target, b, return_grad=True, label_smoothing=0.1)
        assert_allclose(loss, expected, rtol=1e-6)
        for a, c in zip(gradients, expected_gradients, strict=True):
            assert (a is None) == (c is None)
            assert a is None or assert_allclose(a, c, rtol=1e-5, atol=1e-7) is None


def test_prepared_weights_keep_their_bias_and_share_values(problem):
    X, W, bias, target = problem(30, 123, 13, 0.1)
    prepared = PreparedWeights(W, bias)
    expected = linear_logsumexp(X, W, bias)
    smoothed = linear_cross_entropy(X, prepared, target, label_smoothing=0.2)
    bias += 1.0 + np.arange(len(bias))
    assert_allclose(linear_logsumexp(X, prepared), expected, rtol=1e-12)
    assert linear_cross_entropy(X, prepared, target, label_smoothing=0.2) == smoothed
    bias -= np.arange(len(bias))
    W.data *= 2
    assert_allclose(linear_logsumexp(X, prepared), linear_logsumexp(X, W, bias - 1.0), rtol=1e-12)


def test_prepared_weights_that_are_wrong(problem):
    X, W, bias, target = problem(30, 123, 13, 0.1)
    with pytest.raises(TypeError, match="W must be a scipy"):
        PreparedWeights(W.toarray(), bias)
    with pytest.raises(ValueError, match="bias must have"):
        PreparedWeights(W, bias[:-1])
    with pytest.raises(ValueError, match="n_threads"):
        PreparedWeights(W, bias, n_threads=0)
    for call in (
        lambda p: linear_logsumexp(X, p, bias),
        lambda p: linear_topk(X, p, 3, bias),
        lambda p: linear_cross_entropy(X, p, target, bias),
    ):
        with pytest.raises(ValueError, match="bias must be given to PreparedWeights"):
            call(PreparedWeights(W))
    with pytest.raises(ValueError, match="sparse_grad needs"):
        linear_cross_entropy(X, PreparedWeights(W), target, return_grad=True, sparse_grad=True)
    with pytest.raises(ValueError, match="X has 12 features, but 13 are expected"):
        linear_logsumexp(X[:, :12], PreparedWeights(W))
