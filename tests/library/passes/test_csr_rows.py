"""CSR rows against dense weights: batches of rows, strips of classes, every layout of the weights."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy, linear_topk, sampled_cross_entropy
from fastsoftmax.kernels import batch as batch_kernel
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.passes import tiles

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}


def uneven_X(n_rows, n_features, dtype, index_dtype=np.int32):
    """One row with every feature, one feature in nearly every row, empty rows, empty columns, duplicates."""
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, max(1, n_features // 2), rng.integers(0, 9)) for _ in range(n_rows)]
    lists = [np.append(columns, n_features // 3) for columns in lists]
    lists[n_rows // 2] = np.arange(n_features)
    lists[0] = lists[-1] = np.empty(0, int)
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns in lists])]).astype(index_dtype)
    data = rng.standard_normal(indptr[-1]).astype(dtype)
    X = sp.csr_array((data, np.concatenate(lists).astype(index_dtype), indptr), shape=(n_rows, n_features))
    X.indptr, X.indices = indptr, np.concatenate(lists).astype(index_dtype)  # scipy narrows int64
    return X


def weights(n_classes, n_features, dtype, order="F"):
    rng = np.random.default_rng(1)
    W = (rng.standard_normal((n_classes, n_features)) / 2).astype(dtype)
    return np.asarray(W, order=order), rng.standard_normal(n_classes).astype(dtype)


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_is_its_rows(dtype, index_dtype):
    X = uneven_X(30, 50, dtype, index_dtype)
    reader = batch_kernel.RowReader(50)
    for rows in (np.arange(30), np.array([7, 15, 0, 7, 29]), np.array([0]), np.empty(0, np.int64), np.arange(30)):
        batch, expected = reader.take(X.indptr, X.indices, X.data, rows), X[rows].toarray()
        shape = (len(rows), len(batch.feature_ids))
        by_row = sp.csr_array((batch.data, batch.indices, batch.indptr), shape=shape).toarray()
        by_feature = sp.csc_array((batch.col_data, batch.rows, batch.col_indptr), shape=shape).toarray()
        assert_allclose(by_row, expected[:, batch.feature_ids], rtol=1e-6)
        assert_allclose(by_feature, expected[:, batch.feature_ids], rtol=1e-6)
        assert_array_equal(
            np.sort(batch.feature_ids), np.unique(np.concatenate([X[[i]].indices for i in rows] or [[]]))
        )
        assert (np.diff(np.diff(batch.col_indptr)) <= 0).all()  # by falling number of entries
        for f in range(len(batch.feature_ids)):
            assert (np.diff(batch.rows[batch.col_indptr[f] : batch.col_indptr[f + 1]]) >= 0).all()


@covering({"isa": ISAS, "n_classes": [1, 2, 15, 16, 17, 31, 33, 65, 4111], "dtype": DTYPES, "order": ["F", "C"]})
def test_any_number_of_classes(isa, n_classes, dtype, order):
    """Strips are full and cut, down to one class."""
    X, target = uneven_X(40, 60, dtype), np.random.default_rng(2).integers(0, n_classes, 40)
    W, bias = weights(n_classes, 60, dtype, order)
    loss, (_, dW, dbias) = linear_cross_entropy(X, W, target, bias, return_grad=True)
    expected_loss, (_, expected_dW, expected_dbias) = reference.linear_cross_entropy(X, W, target, bias)
    assert_allclose(loss, expected_loss, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert_allclose(dW, expected_dW, atol=TOLERANCE[dtype])
    assert_allclose(dbias, expected_dbias, atol=TOLERANCE[dtype])
    k = min(3, n_classes)
    assert_array_equal(linear_topk(X, W, k, bias)[0], reference.linear_topk(X, W, k, bias)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_rows(isa, dtype):
    """There are tiles of one strip, and two chunks of rows."""
    X, target = uneven_X(8200, 300, dtype), np.random.default_rng(2).integers(0, 70, 8200)
    W, bias = weights(70, 300, dtype)
    results = [linear_cross_entropy(X, W, target, bias, return_grad=True, n_threads=n) for n in (1, 2, 3)]
    expected_loss, (_, expected_dW, _) = reference.linear_cross_entropy(X, W, target, bias)
    assert_allclose(results[0][0], expected_loss, rtol=TOLERANCE[dtype])
    assert_allclose(results[0][1][1], expected_dW, atol=TOLERANCE[dtype])
    for loss, gradients in results[1:]:
        assert loss == results[0][0]
        for a, b in zip(gradients[1:], results[0][1][1:], strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_chosen_classes(isa, dtype, order):
    rng = np.random.default_rng(3)
    X, target, class_ids = uneven_X(40, 60, dtype), rng.integers(0, 500, 40), rng.integers(0, 500, 77)
    W, bias = weights(500, 60, dtype, order)
    options = {"class_ids": class_ids, "log_expected_counts": np.full(77, -0.5)}
    loss, (_, rows, dW, _) = sampled_cross_entropy(X, W, target, bias, **options, return_grad=True)
    expected_loss, (_, expected_dW, _) = reference.sampled_cross_entropy(X, W, target, bias, **options)
    assert_allclose(loss, expected_loss, rtol=TOLERANCE[dtype])
    assert_allclose(dW, expected_dW[rows], atol=TOLERANCE[dtype])


@covering(
    {
        "isa": ISAS,
        "n_classes": [1, 33, 507],
        "dtype": DTYPES,
        "order": ["F", "C"],
        "rule": [SGD().rule(0.3), Adagrad(alpha=0.05).rule(0.3)],
    }
)
def test_a_step(isa, n_classes, dtype, order, rule):
    """The scratch is full of NaN: what lies beyond the last class of a strip is read, and must not matter."""
    X, target = uneven_X(40, 60, dtype), np.random.default_rng(2).integers(0, n_classes, 40)
    W, bias = weights(n_classes, 60, dtype, order)
    model = Model(W=W, bias=bias)
    model.prepare(rule)
    expected_loss, expected = reference.model_step(model.arrays(), X, target, rule)
    runner = Runner(model, X, n_threads=2)
    for name in ("scratch", "kept"):
        runner.workspace.array(name, (1 << 18,), np.float64).fill(np.nan)
    loss = runner.step(np.arange(40), target, np.full(40, 1 / 40), rule)
    tolerance = 20 * TOLERANCE[dtype]
    assert_allclose(loss, expected_loss, rtol=tolerance, atol=tolerance)
    for name, a in model.arrays().items():
        assert_allclose(a, expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_tiles_are_whole_strips_that_stay_in_cache():
    for dtype, strip in ((np.float32, 32), (np.float64, 16)):
        for n_classes in (1, 100, 5000, 10**6):
            W = np.broadcast_to(dtype(0), (n_classes, 3))
            for n_rows in (0, 1, 256, 1024, 10**5):
                tile = tiles.tile_of(tiles.Terms(n_rows, n_classes, W=W))
                assert tile % strip == 0
                assert tile == strip or tile * n_rows * np.dtype(dtype).itemsize <= tiles.SPARSE_TILE_BYTES
