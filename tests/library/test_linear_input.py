"""What the linear functions accept, in which layouts, and what they refuse."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sparse_variants import read_only, unaligned

from fastsoftmax import linear_cross_entropy, linear_logsumexp, linear_topk

N_ROWS, N_CLASSES, N_FEATURES = 12, 600, 9


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = {"X": (N_ROWS, N_FEATURES), "W": (N_CLASSES, N_FEATURES), "bias": (N_CLASSES,)}
    made = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return made | {"target": rng.integers(0, N_CLASSES, N_ROWS)}


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "wide rows": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "read-only": read_only,
    "unaligned": unaligned,
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", ["X", "W"])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_any_memory_layout(isa, arrays, name, make, is_sparse):
    expected_loss, expected = reference.linear_cross_entropy(**arrays)
    arrays[name] = make(arrays[name])
    assert_array_equal(arrays[name].shape, (N_ROWS if name == "X" else N_CLASSES, N_FEATURES))
    if is_sparse:
        arrays["X"] = sp.csr_array(arrays["X"])
    before = {key: a.copy() for key, a in arrays.items()}
    loss, gradients = linear_cross_entropy(**arrays, return_grad=True)
    assert_allclose(loss, expected_loss, rtol=1e-12)
    for ours, truth in zip(gradients, expected, strict=True):
        if ours is not None:
            assert_allclose(ours, truth, rtol=1e-9, atol=1e-13)
    ids, _ = linear_topk(arrays["X"], arrays["W"], 3, arrays["bias"])
    assert_array_equal(ids, reference.linear_topk(before["X"], before["W"], 3, before["bias"])[0])
    for key, a in arrays.items():
        difference = a != before[key]
        assert not (difference.nnz if sp.issparse(a) else difference.any()), f"{key} was modified"


def test_other_strides_of_bias_and_target(arrays):
    expected = linear_cross_entropy(**arrays)
    arrays["bias"] = np.repeat(arrays["bias"], 2)[::2]
    arrays["target"] = np.repeat(arrays["target"], 2)[::2].astype(np.uint16)
    assert linear_cross_entropy(**arrays) == expected


def test_gradient_of_W_in_the_memory_order_of_W(arrays):
    for order in "CF":
        arrays["W"] = np.asarray(arrays["W"], order=order)
        _, (_, dW, _) = linear_cross_entropy(**arrays, return_grad=True)
        assert dW.flags[f"{order}_CONTIGUOUS"]


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_csr_as_it_comes(arrays, sparse_X, dtype, index_dtype):
    """Unsorted, duplicate and zero entries and empty rows are taken, and nothing is tidied up in place."""
    X = sparse_X(N_ROWS, N_FEATURES, dtype, index_dtype=index_dtype)
    before = [a.copy() for a in (X.data, X.indices, X.indptr)]
    for a in (X.data, X.indices, X.indptr):
        a.flags.writeable = False
    W = arrays["W"].astype(dtype)
    loss, (_, dW, _) = linear_cross_entropy(X, W, arrays["target"], return_grad=True)
    expected_loss, (_, expected_dW, _) = reference.linear_cross_entropy(X, W, arrays["target"])
    assert_allclose(loss, expected_loss, rtol=1e-6)
    assert_allclose(dW, expected_dW, atol=1e-6)
    for a, b in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "csc_array", "csc_matrix", "coo_array", "bsr_array"])
def test_kinds_of_sparse_input(arrays, sparse_X, kind):
    X = sparse_X(N_ROWS, N_FEATURES)
    expected = reference.linear_logsumexp(X, arrays["W"])
    assert_allclose(linear_logsumexp(getattr(sp, kind)(X), arrays["W"]), expected, rtol=1e-12)


def test_index_arrays_of_two_dtypes(arrays, sparse_X):
    X = sparse_X(N_ROWS, N_FEATURES)
    expected = linear_logsumexp(X, arrays["W"])
    X.indices = X.indices.astype(np.int64)
    assert_array_equal(linear_logsumexp(X, arrays["W"]), expected)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16])
def test_other_dtypes_of_X(arrays, dtype):
    X = (np.arange(N_ROWS * N_FEATURES).reshape(N_ROWS, N_FEATURES) % 3 > 0).astype(dtype)
    expected = reference.linear_logsumexp(X, arrays["W"])
    assert_allclose(linear_logsumexp(X, arrays["W"]), expected, rtol=1e-12)
    if dtype != np.float16:  # scipy.sparse has none
        assert_allclose(linear_logsumexp(sp.csr_array(X), arrays["W"]), expected, rtol=1e-12)


def test_no_features(arrays):
    lse = np.full(3, reference.logsumexp(arrays["bias"])[0])
    for X in (np.empty((3, 0)), sp.csr_array((3, 0))):
        assert_allclose(linear_logsumexp(X, np.empty((N_CLASSES, 0)), arrays["bias"]), lse)
        loss, gradients = linear_cross_entropy(
            X, np.empty((N_CLASSES, 0)), np.array([0, 1, 2]), arrays["bias"], return_grad=True
        )
        assert_allclose(loss, (lse - arrays["bias"][:3]).mean())
        assert gradients[1].shape == (N_CLASSES, 0)


# -- bad input --


def csr_with(**parts):
    """A CSR matrix, (2, N_FEATURES), whose parts are replaced after scipy has looked at them."""
    X = sp.csr_array((np.ones(2), np.array([0, 1]), np.array([0, 1, 2])), shape=(2, N_FEATURES))
    for name, a in parts.items():
        setattr(X, name, np.array(a))
    return X


def rows_with(value):
    X = np.ones((N_ROWS, N_FEATURES))
    X[3, 2] = value
    return X


BAD = [
    ({"X": np.ones(N_FEATURES)}, ValueError, r"X must be 2-D .*1-D of shape \(9,\)"),
    ({"X": np.ones((N_ROWS, 8))}, ValueError, "X has 8 features, but 9 are expected"),
    ({"X": rows_with(np.nan)}, ValueError, "X must be finite, got NaN in row 3, column 2"),
    ({"X": rows_with(-np.inf)}, ValueError, "X must be finite, got -inf in row 3, column 2"),
    ({"X": sp.csr_array(rows_with(np.inf))}, ValueError, "X must be finite, got inf in row 3, column 2"),
    (
        {"X": rows_with(1e300), "W": np.ones((N_CLASSES, N_FEATURES), np.float32)},
        ValueError,
        r"X must be finite in float32, got 1e\+300 in row 3, column 2",
    ),
    ({"X": np.full((N_ROWS, N_FEATURES), "a")}, TypeError, "X must hold real numbers.*<U1"),
    ({"X": np.ones((N_ROWS, N_FEATURES), complex)}, TypeError, "X must hold real numbers.*complex128"),
    ({"X": sp.csr_array(np.ones((N_ROWS, N_FEATURES), complex))}, TypeError, "X must hold real numbers.*complex128"),
    ({"X": csr_with(indices=[0, 9])}, ValueError, r"X.indices must be in \[0, 9\), got 9"),
    ({"X": csr_with(indices=[-2, 0])}, ValueError, r"X.indices must be in \[0, 9\), got -2"),
    ({"X": csr_with(indices=[0.0, 1.0])}, TypeError, "X.indices must hold int32 or int64.*float64"),
    ({"X": csr_with(indptr=[0, 2, 1])}, ValueError, "X.indptr does not describe 2 rows"),
    ({"X": csr_with(indptr=[0, 1, 7])}, ValueError, "X.indptr does not describe 2 rows of 2 entries"),
    ({"X": csr_with(indptr=[1, 1, 2])}, ValueError, "X.indptr does not describe"),
    ({"X": csr_with(indptr=[0, 2])}, ValueError, "X.indptr does not describe"),
    ({"X": csr_with(data=np.ones(3))}, ValueError, "X.indices has 2 entries, but X.data 3"),
    ({"W": np.ones(N_FEATURES)}, ValueError, r"W must be 2-D .*\(9,\)"),
    ({"W": np.ones((0, N_FEATURES))}, ValueError, r"W must be 2-D .*at least one class.*\(0, 9\)"),
    ({"W": np.full((N_CLASSES, N_FEATURES), None)}, TypeError, "W must hold real numbers.*object"),
    ({"bias": np.ones(3)}, ValueError, r"bias must have shape \(600,\).*\(3,\)"),
    ({"bias": np.ones(N_CLASSES, complex)}, TypeError, "bias must hold real numbers.*complex128"),
    ({"target": np.zeros(3, int)}, ValueError, r"target must have shape \(12,\).*\(3,\)"),
    ({"target": np.zeros(N_ROWS)}, TypeError, "target must hold integer class codes.*float64"),
    ({"target": np.zeros(N_ROWS, bool)}, TypeError, "target must hold integer class codes.*bool"),
    ({"target": np.arange(N_ROWS) - 5}, ValueError, r"target must be in \[0, 600\), got -5 at position 0"),
    ({"target": np.arange(N_ROWS) + 590}, ValueError, r"target must be in \[0, 600\), got 600 at position 10"),
    ({"weight": np.ones(3)}, ValueError, r"weight must have shape \(600,\).*\(3,\)"),
    ({"weight": -np.ones(N_CLASSES)}, ValueError, "weight must be finite and not negative, got -1.0 for class 0"),
    ({"weight": np.full(N_CLASSES, np.nan)}, ValueError, "weight must be finite.*nan"),
    ({"ignore_index": 1.5}, TypeError, "ignore_index must be an integer, got 1.5"),
    ({"reduction": "average"}, ValueError, "reduction must be one of .*'average'"),
    ({"label_smoothing": 1.5}, ValueError, "label_smoothing must be at most 1, got 1.5"),
    ({"label_smoothing": "much"}, TypeError, "label_smoothing must be a real number, got 'much'"),
    ({"n_threads": 0}, ValueError, "n_threads must be None, -1 or an integer from 1 to 1024, got 0"),
    ({"n_threads": 2.0}, TypeError, "n_threads must be an integer, got 2.0"),
    ({"working_memory": -1}, ValueError, "working_memory must be at least 0, got -1"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_input(arrays, bad, error, message):
    arrays |= bad
    if arrays["X"].shape[0] == 2:
        arrays["target"] = arrays["target"][:2]
    with pytest.raises(error, match=message):
        linear_cross_entropy(**arrays)
    shared = {name: value for name, value in arrays.items() if name in ("X", "W", "bias", "n_threads")}
    if set(bad) <= set(shared):
        with pytest.raises(error, match=message):
            linear_logsumexp(**shared)
        with pytest.raises(error, match=message):
            linear_topk(**shared, k=1)


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (601, ValueError), (-1, ValueError), (1.0, TypeError)])
def test_bad_k(arrays, k, error):
    with pytest.raises(error, match=rf"^k must be .*got {k}"):
        linear_topk(arrays["X"], arrays["W"], k)
