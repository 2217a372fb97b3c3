"""No pass writes beyond the scratch that was planned for it, down to sizes of one and rows without entries."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastsoftmax import SoftmaxRegression
from fastsoftmax.kernels import batch as batch_kernel
from fastsoftmax.passes import tiles
from fastsoftmax.runtime.workspaces import CACHE_LINE, Workspace

GUARD = 4096  # bytes


class GuardedWorkspace(Workspace):
    """Every array is exactly as long as was asked for, between bytes that must stay what they are."""

    def __init__(self):
        self.wholes = []

    def array(self, name, shape, dtype):
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        whole = np.full(n_bytes + 2 * GUARD + CACHE_LINE, 171, np.uint8)
        begin = GUARD + -(whole.ctypes.data + GUARD) % CACHE_LINE
        self.wholes.append((name, whole, begin, begin + n_bytes))
        return whole[begin : begin + n_bytes].view(dtype).reshape(shape)

    def check(self):
        for name, whole, begin, end in self.wholes:
            assert (whole[:begin] == 171).all() and (whole[end:] == 171).all(), f"beyond the scratch {name!r}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [1, 2, 17, 700])
@pytest.mark.parametrize("n_rows", [1, 3, 40])
@pytest.mark.parametrize("density", [0.0, 0.3])
@pytest.mark.parametrize("n_hidden", [0, 1, 5])
def test_passes_over_tiles_stay_in_their_scratch(isa, n_hidden, density, n_rows, n_classes, dtype):
    rng = np.random.default_rng(0)
    X = sp.random_array((n_rows, 6), density=density, format="csr", rng=rng).astype(dtype)
    batch = batch_kernel.RowReader(6).take(X.indptr, X.indices, X.data, np.arange(n_rows))
    W = np.asfortranarray(rng.standard_normal((n_classes, 6)).astype(dtype))
    bias, target = rng.standard_normal(n_classes).astype(dtype), rng.integers(0, n_classes, n_rows)
    hidden = V = None
    if n_hidden:
        hidden = rng.standard_normal((n_rows, n_hidden)).astype(dtype)
        V = rng.standard_normal((n_classes, n_hidden)).astype(dtype)
    terms = tiles.Terms(n_rows, n_classes, batch=batch, W=W, bias=bias, hidden=hidden, V=V)
    logits = X @ W.T + bias + (hidden @ V.T if n_hidden else 0)
    workspace = GuardedWorkspace()

    out = np.empty((n_rows, n_classes), dtype)
    tiles.write_logits(terms, out, 1, workspace)
    np.testing.assert_allclose(out, logits, rtol=1e-5, atol=1e-5)
    dW = np.zeros_like(W)
    tiles.add_gradient(terms, out, dW, 1, workspace)
    np.testing.assert_allclose(dW, out.T @ X, rtol=1e-4, atol=1e-4)
    tiles.topk(terms, 1, 1, workspace)
    for memory in (0, 1 << 24):
        forward = tiles.Forward(terms, target, memory=memory, workspace=workspace)
        dhidden = None if hidden is None else np.empty_like(hidden)
        gradients = {"W": np.zeros_like(W), "bias": np.zeros_like(bias), "V": None if V is None else np.zeros_like(V)}
        forward.backward(np.ones(n_rows), tiles.Destination(**gradients), dhidden=dhidden)
    workspace.check()


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
@pytest.mark.parametrize(("n_rows", "n_empty", "n_classes"), [(40, 40, 17), (9000, 8500, 60)])
def test_regression_on_chunks_of_empty_rows(n_rows, n_empty, n_classes, solver):
    """Rows without entries are classified by the intercept alone, whatever stands in their chunk."""
    rng = np.random.default_rng(0)
    rows = sp.random_array((n_rows - n_empty, 50), density=0.1, rng=rng)
    X = sp.vstack([rows, sp.csr_array((n_empty, 50))]).tocsr()
    y = np.arange(n_rows) % n_classes
    model, dense = (SoftmaxRegression(solver=solver, tol=1e-8, max_iter=200).fit(a, y) for a in (X, X.toarray()))
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-3)
    np.testing.assert_allclose(model.intercept_, dense.intercept_, atol=1e-3)
