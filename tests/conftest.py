import os
import signal
import subprocess
import sys

# The small products of the twins would wake BLAS's threads, which spin and keep the CPUs from other tests. It is read as BLAS
# is loaded, also by the processes that tests start; tests of what more threads do ask for them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
import reference
import scipy.sparse as sp

from fastsoftmax import sampled_cross_entropy
from fastsoftmax.kernels import dispatch
from fastsoftmax.runtime import threads


def pytest_configure(config):
    """Ctrl-C for the tests that send it, and marks of SciPy's own tests, which test_scipy_logsumexp.py loads."""
    # A shell without job control ignores SIGINT for what it runs in the background, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("skip_xp_backends", "xfail_xp_backends", "array_api_backends", "uses_xp_capabilities"):
        config.addinivalue_line("markers", f"{name}: SciPy's")


@pytest.fixture(autouse=True, scope="session")
def outside_the_checkout(tmp_path_factory):
    """The processes that tests start must import the installed package, not the checkout's, which may not be built."""
    os.chdir(tmp_path_factory.mktemp("outside"))


@pytest.fixture(autouse=True, scope="session")
def all_threads_whatever_the_work():
    """The small problems of the tests would run on one thread, and their threads would go untested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "for_work", lambda n_threads, multiply_adds: n_threads)
        yield


@pytest.fixture(params=dispatch.available())
def isa(request):
    """Every instruction set that this CPU runs, in turn."""
    before = dispatch.selected()
    dispatch.select(request.param)
    yield request.param
    dispatch.select(before)


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
def sparse_rows():
    """Makes a CSR matrix of about eight numbers a row, and class codes, each of them at least once."""

    def make(n_rows, n_features, n_classes, dtype=np.float32, seed=0):
        rng = np.random.default_rng(seed)
        X = sp.random_array((n_rows, n_features), density=min(1, 8 / n_features), format="csr", rng=rng, dtype=dtype)
        return X, rng.permutation(np.resize(np.arange(n_classes), n_rows))

    return make


@pytest.fixture(scope="session")
def run_python():
    """Runs a program in a fresh Python and returns what it prints; raises where it fails or hangs."""

    def run(program, *arguments, timeout=120, **environment):
        command = [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)]
        return subprocess.run(
            command, env=os.environ | environment, timeout=timeout, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    return run


@pytest.fixture(scope="session")
def numerical_gradient():
    """Makes central differences of a function without arguments by each element of an array that it reads."""

    def make(function, a, step=1e-5):
        gradient = np.empty_like(a)
        for at in np.ndindex(a.shape):
            value, results = a[at], []
            for shift in (step, -step):
                a[at] = value + shift
                results.append(function())
            a[at] = value
            gradient[at] = (results[0] - results[1]) / (2 * step)
        return gradient

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


SAMPLED_CLASSES = 700


@pytest.fixture(params=["dense", "csr"])
def sampled_problem(request, sparse_X):
    """Makes the arguments of sampled_cross_entropy, with draws that repeat classes and hit targets."""

    def make(n_rows=20, n_features=9, n_drawn=600, dtype=np.float64, seed=0, loss="sampled_softmax", num_true=None):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n_rows, n_features)).astype(dtype)
        if request.param == "csr":
            X = sparse_X(n_rows, n_features, dtype)
        target = rng.integers(0, SAMPLED_CLASSES, n_rows if num_true is None else (n_rows, num_true))
        class_ids = rng.integers(0, SAMPLED_CLASSES, n_drawn)
        n_hits = min(10, target.size, n_drawn)
        class_ids[:n_hits] = target.flat[:n_hits]
        log_expected_counts = np.log(rng.random(SAMPLED_CLASSES) + 0.1)
        return {
            "X": X,
            "W": rng.standard_normal((SAMPLED_CLASSES, n_features)).astype(dtype),
            "target": target,
            "bias": rng.standard_normal(SAMPLED_CLASSES).astype(dtype),
            "class_ids": class_ids,
            "log_expected_counts": log_expected_counts[class_ids],
            "loss": loss,
            "target_log_expected_counts": None if loss == "sampled_softmax" else log_expected_counts[target],
        }

    return make


@pytest.fixture(scope="session")
def check_sampled():
    """Compares sampled_cross_entropy and its gradients with the reference."""

    def check(arguments, rtol, atol, **options):
        expected_loss, (dX, dW, dbias) = reference.sampled_cross_entropy(**arguments, **options)
        loss, (our_dX, rows, dW_rows, dbias_rows) = sampled_cross_entropy(**arguments, **options, return_grad=True)
        np.testing.assert_allclose(loss, expected_loss, rtol=rtol)
        np.testing.assert_allclose(sampled_cross_entropy(**arguments, **options), loss, rtol=1e-14)
        target = arguments["target"]
        true = target.nonzero()[1] if sp.issparse(target) else target
        np.testing.assert_array_equal(rows, np.union1d(arguments["class_ids"], true))
        assert dW_rows.dtype == dbias_rows.dtype == arguments["W"].dtype
        np.testing.assert_allclose(dW_rows, dW[rows], rtol=rtol, atol=atol)
        np.testing.assert_allclose(dbias_rows, dbias[rows], rtol=rtol, atol=atol)
        if sp.issparse(arguments["X"]):
            assert our_dX is None
        else:
            np.testing.assert_allclose(our_dX, dX, rtol=rtol, atol=atol)

    return check
