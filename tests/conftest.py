import os

import numpy as np
import pytest
import scipy.sparse as sp

from fastsoftmax import _rowops, _threads


@pytest.fixture(autouse=True, scope="session")
def outside_the_checkout(tmp_path_factory):
    """The processes that tests start must import the installed package, not the checkout's, which may not be built."""
    os.chdir(tmp_path_factory.mktemp("outside"))


@pytest.fixture(autouse=True)
def all_threads_whatever_the_work(monkeypatch):
    """The small problems of the tests would run on one thread, and their threads would go untested."""
    monkeypatch.setattr(_threads, "for_work", lambda n_threads, multiply_adds: n_threads)


@pytest.fixture(params=_rowops.available())
def isa(request):
    """Every instruction set that this CPU runs, in turn."""
    before = _rowops.selected()
    _rowops.select(request.param)
    yield request.param
    _rowops.select(before)


@pytest.fixture(scope="session")
def sparse_X():
    """Makes a CSR matrix of normal numbers with empty rows, explicit zeros, unsorted and duplicate column indices."""

    def make(n_rows, n_features, dtype=np.float64, *, seed=0, n_entries=6, index_dtype=np.int32):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, n_entries + 1, n_rows) if n_features else np.zeros(n_rows, int)
        lengths[::5] = 0
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(index_dtype)
        indices = rng.integers(0, max(1, n_features), indptr[-1]).astype(index_dtype)
        indices[1::4] = indices[: len(indices[1::4]) * 4 : 4]  # the neighbour's column, mostly of the same row
        data = rng.standard_normal(indptr[-1]).astype(dtype)
        data[::7] = 0
        X = sp.csr_array((data, indices, indptr), shape=(n_rows, n_features))
        X.indices, X.indptr = indices, indptr  # scipy narrows int64 where it can
        return X

    return make


@pytest.fixture(scope="session")
def assert_no_worse():
    """Checks that a result is as near to the float64 truth as naive code of its precision, but for roundings."""

    def check(ours, naive, truth, n_roundings=32):
        ours, truth = np.asarray(ours), np.asarray(truth, np.float64)
        assert ours.shape == truth.shape
        if not truth.size:
            return
        scale = np.abs(truth).max()
        slack = n_roundings * np.finfo(naive.dtype).eps * max(scale, np.finfo(naive.dtype).tiny)
        error, naive_error = np.abs(ours - truth).max(), np.abs(naive - truth).max()
        assert error <= naive_error + slack, f"error {error:.3g}, naively {naive_error:.3g}, slack {slack:.3g}"

    return check


@pytest.fixture(scope="session")
def sparse_W():
    """Makes W, a CSC array."""

    def make(n_classes, n_features, density, dtype=np.float64, seed=1):
        rng = np.random.default_rng(seed)
        W = sp.random_array((n_classes, n_features), density=density, format="csc", rng=rng, dtype=dtype)
        W.data = rng.standard_normal(W.nnz).astype(dtype)
        return W

    return make


@pytest.fixture
def problem(sparse_X, sparse_W):
    """Makes X with empty rows, duplicates and zeros, W, bias, target."""

    def make(n_rows, n_classes, n_features, density, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        X, W = sparse_X(n_rows, n_features, dtype, seed=seed), sparse_W(n_classes, n_features, density, dtype)
        return X, W, rng.standard_normal(n_classes).astype(dtype), rng.integers(0, n_classes, n_rows)

    return make
