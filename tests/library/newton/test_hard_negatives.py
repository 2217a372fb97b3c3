"""Squared hinges over the positives and the hard negatives of each class, against the optimum of a dense float64 twin."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from guards import guarded_workspaces
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax.kernels import hard_negatives as kernel
from fastsoftmax.newton import hard_negatives

DTYPES = ["float32", "float64"]
TOLERANCES = {"float32": 2e-4, "float64": 1e-7}


def problem(n_rows=60, n_features=40, n_classes=7, m=3, *, share=0.15, density=0.2, dtype=np.float64, seed=0):
    """X, positives and negatives, with rows of no features, no positives and fewer than m negatives."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n_rows, n_features), density=density, format="csr", rng=rng, dtype=np.float64)
    X.data += 0.1
    is_positive = rng.random((n_rows, n_classes)) < share
    negatives = np.full((n_rows, m), -1)
    for row, own in zip(negatives, is_positive, strict=True):
        others = rng.permutation(np.flatnonzero(~own))[:m]
        row[: len(others)] = np.where(rng.random(len(others)) < 0.1, -1, others)
    return X.astype(dtype), sp.csr_array(is_positive), rng.permuted(negatives, axis=1)


def is_negative(negatives, n_classes):
    return (negatives[:, :, None] == np.arange(n_classes)).any(axis=1)


def scales_of(X, weight, power):
    sizes = np.sqrt(weight @ X.toarray().astype(np.float64) ** 2)
    occur = sizes > 0
    return np.where(occur, sizes / np.median(sizes[occur]), 1) ** -power if occur.any() else np.ones(len(occur))


def terms(X, positives, negatives, C, weight=None, positive_weight=None, feature_scaling=0.25):
    """The arguments of the twin, for scaled features; the scales; which weights there are."""
    weight = np.ones(X.shape[0]) if weight is None else weight
    factors = np.ones(positives.shape[1]) if positive_weight is None else positive_weight
    scales, has = scales_of(X, weight, feature_scaling), positives.toarray() != 0
    scaled = X.toarray().astype(np.float64) * scales
    exists = (has[weight > 0].T @ (X.toarray()[weight > 0] != 0)) > 0
    return (scaled, has, is_negative(negatives, positives.shape[1]), C * weight, factors), scales, exists


def optimum(*problem, **options):
    """W by Newton's method with whole Hessians."""
    arguments, scales, exists = terms(*problem, **options)
    X, W = arguments[0], np.zeros(exists.shape)
    for k, own in enumerate(exists):
        for _ in range(60):
            objectives, gradients, curvatures = reference.hard_negatives(*arguments, W)
            hessian = np.eye(own.sum()) + (X[:, own].T * curvatures[:, k]) @ X[:, own]
            step, length, old = -np.linalg.solve(hessian, gradients[k, own]), 1.0, W[k].copy()
            if np.abs(step).max(initial=0) < 1e-12:
                break
            while length > 1e-9:
                W[k, own] = old[own] + length * step
                if reference.hard_negatives(*arguments, W)[0][k] <= objectives[k]:
                    break
                length /= 2
    return W * scales


def gradient_norms(W, *problem, **options):
    """The norms of the gradients by the weights that there are, over those at zero weights."""
    arguments, scales, exists = terms(*problem, **options)
    found, at_zero = (
        np.linalg.norm(reference.hard_negatives(*arguments, w)[1] * exists, axis=1) for w in (W / scales, 0 * W)
    )
    return found / np.where(at_zero > 0, at_zero, 1)


def solve(*problem, **options):
    with guarded_workspaces():
        return hard_negatives.solve(*problem, **{"tol": 1e-10, "min_weight": 0.0} | options)


SHAPES = {
    "usual": {},
    "no rows": {"n_rows": 0},
    "one row": {"n_rows": 1, "share": 0.5},
    "one feature": {"n_features": 1, "density": 1.0},
    "no features": {"n_features": 0},
    "no classes": {"n_classes": 0},
    "one class": {"n_classes": 1},
    "no negatives": {"m": 0},
    "all rows are positives": {"share": 1.0},
    "no positives": {"share": 0.0},
    "many features": {"n_rows": 12, "n_features": 1300, "density": 0.5, "n_classes": 2, "share": 0.3},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_optimum(isa, shape, dtype):
    X, positives, negatives = problem(**SHAPES[shape], dtype=dtype)
    W = solve(X, positives, negatives, 2.0)
    assert isinstance(W, sp.csc_array) and W.shape == (positives.shape[1], X.shape[1])
    assert W.dtype == dtype and W.indices.dtype == np.int32 and W.has_sorted_indices
    assert_allclose(W.toarray(), optimum(X, positives, negatives, 2.0), atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_scaling", [0, 0.25, 1])
@pytest.mark.parametrize("C", [1e-3, 1.0, 30.0])
def test_weights_of_rows_and_of_positives(C, feature_scaling, dtype):
    X, positives, negatives = problem(dtype=dtype)
    rng = np.random.default_rng(1)
    options = {
        "weight": rng.random(60) * (rng.random(60) < 0.7),
        "positive_weight": 3 * rng.random(7) * (np.arange(7) != 2),
        "feature_scaling": feature_scaling,
    }
    W = solve(X, positives, negatives, C, **options).toarray()
    assert_allclose(W, optimum(X, positives, negatives, C, **options), atol=10 * TOLERANCES[dtype])
    assert_array_equal(W[2], 0)
    kept = options["weight"] > 0
    few = {**options, "weight": options["weight"][kept]}
    if feature_scaling == 0:
        assert_array_equal(solve(X[kept], positives[kept], negatives[kept], C, **few).toarray(), W)


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_ends_at_tol(isa, dtype):
    X, positives, negatives = problem(300, 80, 20, dtype=dtype)
    for tol in (0.3, 0.03, 1e-3):
        W = solve(X, positives, negatives, 1.0, tol=tol).toarray()
        norms = gradient_norms(W, X, positives, negatives, 1.0)
        assert norms.max() < 1.01 * tol and norms.max() > 1e-3 * tol


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_for_any_threads_and_blocks(dtype, monkeypatch):
    X, positives, negatives = problem(300, 80, 50, dtype=dtype)
    base = solve(X, positives, negatives, 1.0, tol=0.03)
    for size in (1, 1000, 1 << 24):
        monkeypatch.setattr(hard_negatives, "BLOCK_ENTRIES", size)
        for n_threads in (1, 2, 3):
            W, done = solve(X, positives, negatives, 1.0, tol=0.03, n_threads=n_threads), []
            solve(X, positives, negatives, 1.0, n_threads=n_threads, show=done.append)
            for name in ("indptr", "indices", "data"):
                assert_array_equal(getattr(W, name), getattr(base, name))
            assert sum(done) == 50 and (len(done) > 1) == (size < 1 << 24)


def test_classes_change_no_bit_of_each_other():
    X, positives, negatives = problem(300, 80, 20)
    base = solve(X, positives, negatives, 1.0).toarray()
    order = np.random.default_rng(0).permutation(20)
    place = np.append(np.argsort(order), -1)  # the last one is that of -1
    moved = solve(X, positives[:, order], place[negatives], 1.0).toarray()
    assert_array_equal(moved, base[order])


def test_rows_that_are_left_out_cost_nothing():
    """Negatives without a feature of the positives cost nothing at any weights."""
    X, positives, negatives = problem(100, 60, 5, density=0.05, share=0.05)
    own = (positives.toarray().T @ (X.toarray() != 0)) > 0
    shares = (X.toarray() != 0) @ own.T
    useful = np.take_along_axis(np.column_stack([shares, np.zeros(100, bool)]), negatives, 1)
    assert not useful.all()
    few = np.where(useful, negatives, -1)
    assert_array_equal(solve(X, positives, few, 1.0).toarray(), solve(X, positives, negatives, 1.0).toarray())


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_features_of_positives_have_weights(dtype):
    X, positives, negatives = problem(density=0.05, dtype=dtype)
    W = solve(X, positives, negatives, 1.0)
    assert W.nnz and (W.data != 0).all()
    own = (positives.toarray().T @ (X.toarray() != 0)) > 0
    assert not (W.toarray() != 0)[~own].any() and not own.all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_min_weight(isa, dtype):
    """It is of weights for X as it is given."""
    X, positives, negatives = problem(dtype=dtype)
    X = sp.csr_array(X * np.logspace(-1, 1, 40).astype(dtype))
    dense = solve(X, positives, negatives, 1.0).toarray()
    W = solve(X, positives, negatives, 1.0, min_weight=0.05)
    assert_array_equal(W.toarray(), np.where(np.abs(dense) >= np.float64(0.05), dense, 0))
    assert 0 < W.nnz < np.count_nonzero(dense)


@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
@pytest.mark.parametrize("code_dtype", ["int16", "int32", "int64"])
def test_types_and_layouts(index_dtype, code_dtype):
    X, positives, negatives = problem()
    base = solve(X, positives, negatives, 1.0)
    values = np.zeros(positives.nnz)  # whatever they are
    Y = sp.csr_array((values, positives.indices, positives.indptr), shape=positives.shape)
    for matrix in (X, Y):
        matrix.indices, matrix.indptr = matrix.indices.astype(index_dtype), matrix.indptr.astype(index_dtype)
    found = solve(X, Y, np.asfortranarray(negatives.astype(code_dtype)), 1.0)
    assert_array_equal(found.toarray(), base.toarray())


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_rows(isa, dtype):
    """One of all features, beside rows of few."""
    X, positives, negatives = problem(20, 5000, 4, density=0.002, share=0.3, dtype=dtype)
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.vstack([X[:-1], rng.standard_normal((1, 5000)).astype(dtype) / 70]))
    W = solve(X, positives, negatives, 1.0)
    assert (gradient_norms(W.toarray(), X, positives, negatives, 1.0) < (1e-4 if dtype == "float32" else 1e-7)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("C", [1e-15, 1e-6, 1e4, 1e8])
def test_tiny_and_huge_C(C, dtype):
    X, positives, negatives = problem(dtype=dtype)
    W = solve(X, positives, negatives, C, tol=1e-3).toarray()
    assert np.isfinite(W).all()
    assert (gradient_norms(W, X, positives, negatives, C) < (0.02 if dtype == "float32" else 1e-3)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_that_overflow(dtype):
    X, positives, negatives = problem(dtype=dtype)
    X.data *= np.finfo(dtype).max / 4
    with pytest.raises(ValueError, match="scale X"), np.errstate(over="ignore"):
        solve(X, positives, negatives, 100.0)


def test_rows_by_class():
    _, _, negatives = problem(90, 5, 11, 4)
    indptr = np.arange(91) ** 2
    starts, rows, entries = kernel.rows_by_class(negatives.ravel(), np.arange(91) * 4, indptr, 11)
    assert starts[0] == 0 and starts[-1] == len(rows) == (negatives >= 0).sum()
    for k in range(11):
        expected = np.flatnonzero((negatives == k).any(axis=1))
        assert_array_equal(rows[starts[k] : starts[k + 1]], expected)
        assert entries[k] == np.diff(indptr)[expected].sum()
