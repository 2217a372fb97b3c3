"""The k best classes of a few rows, against the float64 reference and for all kinds of weights."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.model.compact import STORAGES, CompactMatrix
from fastsoftmax.passes import few_rows
from fastsoftmax.passes.eligible import Eligible
from fastsoftmax.runtime.csr_rows import CsrRows
from fastsoftmax.runtime.workspaces import Workspace

DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 2e-6, np.float64: 1e-13}
# rows, classes, inner size: one class, odd sizes, whole vectors, several blocks
SHAPES = [(1, 1, 1), (1, 7, 3), (2, 50, 16), (4, 1023, 33), (3, 2500, 8), (1, 5000, 130)]


def topk(bias, k, n_threads=2, **terms):
    return few_rows.topk(bias, k, n_threads, Workspace(), **terms)


def csr_rows(X):
    return CsrRows(X.indptr.astype(np.intp), X.indices.astype(np.int32), X.data, X.shape[1])


@pytest.fixture
def make():
    """Makes hidden or sparse rows, weights (n_classes, n_inner) and a bias."""

    def make(n_rows, n_classes, n_inner, dtype):
        rng = np.random.default_rng(n_classes)
        hidden = rng.normal(size=(n_rows, n_inner)).astype(dtype)
        X = sp.random_array((n_rows, n_inner), density=0.4, format="csr", dtype=dtype, rng=rng)
        V = rng.normal(size=(n_classes, n_inner)).astype(np.float32).astype(dtype)  # bfloat16 rounds float32
        return hidden, X, V, rng.normal(size=n_classes).astype(dtype)

    return make


def assert_best(found, log_proba, k, rtol, **options):
    """The best of `log_proba`, but where two are nearly equal."""
    ids, expected = reference.eligible_topk(log_proba, k, **options)
    assert_allclose(found[1], expected, rtol=rtol, atol=rtol * np.abs(log_proba[np.isfinite(log_proba)]).max())
    for row, mine, best in zip(log_proba, found[0], ids, strict=True):
        assert len(np.unique(mine[mine >= 0])) == (mine >= 0).sum() == (best >= 0).sum()
        assert_allclose(row[mine[mine >= 0]], row[best[best >= 0]], rtol=rtol, atol=rtol * np.abs(row).max())


@covering({"isa": ISAS, "shape": SHAPES, "dtype": DTYPES, "storage": [None, *STORAGES]}, strength=2)
def test_against_the_reference(isa, make, shape, dtype, storage):
    hidden, X, V, bias = make(*shape, dtype)
    rows_V, columns_W = V, np.asfortranarray(V)
    of_classes, of_features = V, V
    if storage is not None:
        rows_V, columns_W = CompactMatrix.of(V, storage), CompactMatrix.of(np.asfortranarray(V), storage, True)
        of_classes, of_features = reference.compact(V, storage), reference.compact(V.T, storage).T

    def log_of(z):
        return reference.log_softmax(z, axis=1)

    for k in {1, min(3, shape[1]), shape[1]}:
        found = topk(bias, k, hidden=hidden, V=rows_V)
        assert found[0].dtype == np.int64 and found[1].dtype == dtype
        assert_best(found, log_of(reference.linear_logits(hidden, of_classes, bias)), k, 4 * RTOL[dtype])
        found = topk(bias, k, rows=csr_rows(X), W=columns_W)
        assert_best(found, log_of(reference.linear_logits(X, of_features, bias)), k, 4 * RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_additions_and_no_weights_at_all(isa, make, dtype):
    hidden, _, V, bias = make(3, 3000, 5, dtype)
    rng = np.random.default_rng(1)
    touched = np.stack([rng.permutation(3000)[:40] for _ in range(3)]).astype(np.int32)
    added, n_touched = rng.normal(size=touched.shape).astype(dtype) * 3, np.array([0, 17, 40])
    for inner in (5, 0):
        logits = reference.linear_logits(hidden[:, :inner], V[:, :inner], bias)
        for i, n in enumerate(n_touched):
            logits[i, touched[i, :n]] += added[i, :n]
        additions = np.arange(3) * 40, n_touched, touched, added
        found = topk(bias, 9, hidden=hidden[:, :inner].copy(), V=V[:, :inner].copy(), additions=additions)
        assert_best(found, reference.log_softmax(logits, axis=1), 9, 4 * RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_eligible_classes(isa, make, dtype):
    hidden, _, V, bias = make(4, 2100, 6, dtype)
    log_proba = reference.log_softmax(reference.linear_logits(hidden, V, bias), axis=1)
    rng = np.random.default_rng(2)
    excluded = rng.random((4, 2100)) < 0.3
    excluded[2] = False
    lists = sp.csr_array(excluded)
    indptr, ids = lists.indptr.astype(np.intp), lists.indices.astype(np.int64)
    subset = np.flatnonzero(rng.random(2100) < 0.01)
    for options in (
        {"class_ids": subset},
        {"exclude": excluded},
        {"class_ids": subset, "exclude": excluded},
        {"threshold": 1e-3},
    ):
        mine = dict(options)
        if mine.pop("exclude", None) is not None:
            mine |= {"indptr": indptr, "excluded": ids}
        found = topk(bias, 30, hidden=hidden, V=V, eligible=Eligible(**mine))
        assert_best(found, log_proba, 30, 4 * RTOL[dtype], **options)


def test_ties_take_the_smaller_ids(isa):
    V, bias = np.zeros((4000, 2)), np.arange(4000) % 3.0
    for n_threads in (1, 2, 3):
        ids, _ = topk(bias, 5, n_threads, hidden=np.ones((2, 2)), V=V)
        assert_array_equal(ids, [[2, 5, 8, 11, 14]] * 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_for_any_n_threads(isa, make, dtype):
    hidden, _, V, bias = make(4, 9001, 20, dtype)
    first, *others = [topk(bias, 7, n_threads, hidden=hidden, V=V) for n_threads in (1, 2, 3, 7)]
    for other in others:
        assert_array_equal(first[0], other[0])
        assert_array_equal(first[1], other[1])


def test_classes_without_mass_and_nan():
    hidden, V = np.ones((1, 1)), np.zeros((2100, 1))
    bias = np.full(2100, -np.inf)
    bias[1500] = 3.0
    ids, log_proba = topk(bias, 2, hidden=hidden, V=V)
    assert ids.tolist() == [[1500, 0]] and log_proba.tolist() == [[0.0, -np.inf]]
    bias[7] = np.nan
    with pytest.raises(ValueError, match="logits of row 0 are NaN"):
        topk(bias, 2, hidden=hidden, V=V)
