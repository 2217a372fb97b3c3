"""What the linear functions do with a dense W: passes over chunks of the rows of checked X, W and bias."""

import numpy as np

from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.passes import tiles
from fastsoftmax.validation import check_bias, check_W, check_X

MAX_ROWS = 4096  # in a chunk of dense rows: larger ones gain nothing
MAX_SPARSE_ROWS = 8192  # in a chunk of CSR rows: more, since each chunk goes once through W and the gradient of W
CHUNK_WORK = 1 << 36  # multiply-adds in a chunk whose logits are not kept


class LinearInput:
    """Checks X, a dense W and the bias, and offers passes over chunks of rows. Everything is computed in W's dtype."""

    def __init__(self, X, W, bias, n_threads=1):
        self.n_threads = n_threads
        self.W = check_W(W)
        self.n_classes = self.W.shape[0]
        self.X = check_X(X, n_features=self.W.shape[1], dtype=self.W.dtype)
        self.bias = check_bias(bias, self.n_classes, self.W.dtype)
        self.n_rows = self.X.shape[0]
        self.is_sparse = not isinstance(self.X, np.ndarray)
        if self.is_sparse:
            self.reader = RowReader(self.X.shape[1])

    def chunks(self, n_candidates, keep=None):
        """Slices of rows, whose logits fit three quarters of `keep` bytes; without `keep`, of CHUNK_WORK each."""
        if keep is None:
            row_work = n_candidates * (8 + (self.X.nnz // max(1, self.n_rows) if self.is_sparse else self.X.shape[1]))
            step = np.clip(CHUNK_WORK // max(1, row_work), 64, 1024)
        else:
            max_rows = MAX_SPARSE_ROWS if self.is_sparse else MAX_ROWS
            step = np.clip(keep * 3 // 4 // max(1, n_candidates * self.W.itemsize) // 64 * 64, 64, max_rows)
        for start in range(0, self.n_rows, int(step)):
            yield slice(start, min(start + int(step), self.n_rows))

    def terms(self, rows, class_ids=None):
        """The logits of the rows in slice `rows`."""
        n_rows = rows.stop - rows.start
        n_candidates = self.n_classes if class_ids is None else class_ids.shape[0]
        if self.is_sparse:
            X = self.X
            batch = self.reader.take(X.indptr, X.indices, X.data, np.arange(rows.start, rows.stop))
            return tiles.Terms(n_rows, n_candidates, batch=batch, W=self.W, bias=self.bias, class_ids=class_ids)
        return tiles.Terms(n_rows, n_candidates, hidden=self.X[rows], V=self.W, bias=self.bias, class_ids=class_ids)

    def forward(self, rows, target=None, *, memory=None, workspace=None):
        """The first pass over the rows in slice `rows`. If `memory` is None, there will be no second pass."""
        return tiles.Forward(
            self.terms(rows), target, memory=memory or 0, n_threads=self.n_threads, workspace=workspace
        )

    def log_sum_exps(self, rows, workspace):
        return self.forward(rows, workspace=workspace).lse

    def topk(self, rows, k, eligible, workspace):
        return tiles.topk(self.terms(rows), k, self.n_threads, workspace, eligible)

    def gradients(self):
        return DenseGradients(self)

    def destination(self, dW, dbias, **kwargs):
        """The arrays that gradients are added to: dW is the W of tiles.Terms for CSR rows, and their V for dense X."""
        weights = {"W": dW} if self.is_sparse else {"V": dW}
        return tiles.Destination(bias=dbias, **weights, **kwargs)


class DenseGradients:
    """dX, dW and dbias for a dense W."""

    def __init__(self, inputs):
        self.inputs, W = inputs, inputs.W
        self.dX = None if inputs.is_sparse else np.empty_like(inputs.X)
        # np.zeros, since zeros_like writes every zero: pages that no gradient reaches, as of features of no row, cost nothing
        self.dW = np.zeros(W.shape, W.dtype, order="F" if W.flags.f_contiguous else "C")
        self.dbias = None if inputs.bias is None else np.zeros_like(inputs.bias)

    def backward(self, rows, forward, scale, smoothing, rounding):
        forward.backward(
            scale,
            self.inputs.destination(self.dW, self.dbias),
            dhidden=None if self.dX is None else self.dX[rows],
            smoothing=smoothing,
            rounding=rounding,
        )

    def result(self):
        return self.dX, self.dW, self.dbias
