"""What the linear functions do with a sparse W, which holds pairs: passes over chunks of the rows of checked X, W, bias."""

import numpy as np
from scipy import sparse

from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.passes import pairs
from fastsoftmax.runtime import workspaces
from fastsoftmax.validation import check_bias, check_sparse_W, check_X


class SparseLinearInput:
    """Checks X, a sparse W and the bias, and offers passes over chunks of rows. Everything is computed in W's dtype."""

    def __init__(self, X, W, bias, n_threads=1):
        self.W = check_sparse_W(W)
        self.n_classes, n_features = self.W.shape
        X = check_X(X, n_features=n_features, dtype=self.W.dtype)
        self.X = X if sparse.issparse(X) else sparse.csr_array(X)
        self.n_rows = self.X.shape[0]
        self.has_bias = bias is not None
        self.bias = check_bias(bias, self.n_classes, self.W.dtype)
        W = self.W
        self.weights = pairs.PairWeights(self.n_classes, W.indptr, W.indices.astype(np.int32, copy=False), W.data)
        self.base = pairs.Base(self.bias if self.has_bias else np.zeros(self.n_classes, W.dtype), n_threads)
        self.reader, self.n_threads = RowReader(n_features), n_threads
        self.weights = self.weights.with_base(self.base, self.X)

    def chunks(self, n_candidates, keep=None):
        """Slices of rows whose pairs, and what is kept of them, fit three quarters of `keep` bytes."""
        memory = workspaces.WORKING_MEMORY if keep is None else keep
        pair_bytes = 4 + 4 + self.W.dtype.itemsize + 8  # position, class, logit, gradient of the bias
        n_pairs = max(1, memory * 3 // 4 // pair_bytes)
        for start, stop in pairs.row_chunks(self.X, np.diff(self.weights.indptr), n_pairs):
            yield slice(start, stop)

    def batch(self, rows):
        X = self.X
        return self.reader.take(X.indptr, X.indices, X.data, np.arange(rows.start, rows.stop))

    def forward(self, rows, target=None, *, memory=None, workspace=None):
        """The first pass over the rows in slice `rows`. If `memory` is None, there will be no second pass."""
        return pairs.PairsForward(
            self.batch(rows),
            self.weights,
            self.base,
            target,
            n_threads=self.n_threads,
            workspace=workspace,
            keep=memory is not None,
        )

    def topk(self, rows, k, eligible, workspace):
        return pairs.topk(self.batch(rows), self.weights, self.base, k, self.n_threads, workspace, eligible)

    def gradient_forms(self):
        """The shape, dtype and memory order of each gradient, or None where there is none."""
        dtype = self.W.dtype
        return {
            "dX": None,
            "dW": (self.weights.data.shape, dtype, "C"),
            "dbias": (self.bias.shape, dtype, "C") if self.has_bias else None,
        }

    def gradients(self, out=(None, None, None), *, by_columns=False):
        return SparseGradients(self, out)


class SparseGradients:
    """dW and dbias, summed over chunks of rows. `rounding` has no effect here."""

    def __init__(self, inputs, out):
        _, dW, self.dbias = out
        self.dW = np.empty_like(inputs.weights.data) if dW is None else dW
        self.dW.fill(0)
        self.bias = pairs.BiasGradient(inputs.base) if inputs.has_bias else None

    def backward(self, rows, forward, scale, smoothing, rounding):
        forward.backward(scale, self.dW, dbias=self.bias, smoothing=smoothing)

    def result(self):
        """(None, dW, dbias): there is no gradient by X."""
        if self.bias is not None:
            if self.dbias is None:
                self.dbias = np.empty_like(self.bias.base.bias)
            self.dbias.fill(0)
            self.bias.finish(self.dbias)
        return None, self.dW, self.dbias
