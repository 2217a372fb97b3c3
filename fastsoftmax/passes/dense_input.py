"""What the linear functions do with a dense W: passes over chunks of the rows of checked X, W and bias."""

import numpy as np

from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.kernels.zeros import zero_rows
from fastsoftmax.passes import tiles
from fastsoftmax.runtime import threads
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

    def gradient_forms(self):
        """The shape, dtype and memory order of each gradient, or None where there is none."""
        W, dtype = self.W, self.W.dtype
        return {
            "dX": None if self.is_sparse else (self.X.shape, dtype, "C"),
            "dW": (W.shape, dtype, "F" if W.flags.f_contiguous else "C"),
            "dbias": None if self.bias is None else (self.bias.shape, dtype, "C"),
        }

    def gradients(self, out=(None, None, None), *, by_columns=False, wanted=(True, True, True)):
        return DenseGradients(self, out, by_columns, wanted)

    def destination(self, dW, dbias, **kwargs):
        """The arrays that gradients are added to: dW is the W of tiles.Terms for CSR rows, and their V for dense X."""
        weights = {"W": dW} if self.is_sparse else {"V": dW}
        return tiles.Destination(bias=dbias, **weights, **kwargs)


def _columns_with_entries(X):
    """The columns of the CSR rows `X` with stored elements, ascending, int64."""
    has_entries = np.zeros(X.shape[1], bool)
    has_entries[X.indices[X.indptr[0] : X.indptr[-1]]] = True
    return np.flatnonzero(has_entries).astype(np.int64, copy=False)


class DenseGradients:
    """dX, dW and dbias for a dense W: in the arrays of `out`, or new ones where it has None.

    With `by_columns`, which is for CSR rows, dW has only the columns of W that X has entries in, ascending. The first chunk of
    rows stores its gradient of W, later ones add theirs. What is not `wanted` is None.
    """

    def __init__(self, inputs, out, by_columns, wanted):
        self.inputs, self.columns, forms = inputs, None, inputs.gradient_forms()
        (n_classes, n_features), dtype, order = forms["dW"]
        dX, dW, dbias = out
        wants_X, wants_W, wants_bias = wanted
        self.is_zeros = self.is_begun = False
        if not wants_W:
            self.is_zeros = True  # there is nothing to fill
        elif by_columns:
            self.columns = _columns_with_entries(inputs.X)
            dW = np.empty((n_classes, len(self.columns)), dtype, order=order)
        elif dW is None:
            # np.zeros, since zeros_like writes every zero: pages that no gradient reaches, as of unused features, cost nothing
            dW, self.is_zeros = np.zeros((n_classes, n_features), dtype, order=order), True
        self.dX = None if inputs.is_sparse or not wants_X else np.empty_like(inputs.X) if dX is None else dX
        self.dW = dW
        has_bias = inputs.bias is not None and wants_bias
        self.dbias = None if not has_bias else np.empty_like(inputs.bias) if dbias is None else dbias
        if self.dbias is not None:
            self.dbias.fill(0)

    def backward(self, rows, forward, scale, smoothing, rounding):
        inputs, columns, where = self.inputs, None, {}
        if inputs.is_sparse:
            columns = forward.terms.batch.feature_ids
            if self.columns is not None:
                columns = np.searchsorted(self.columns, columns)
            where = {"columns": columns, "stores_W": not self.is_begun}
        self._begin(columns)
        forward.backward(
            scale,
            inputs.destination(self.dW, self.dbias, **where),
            dhidden=None if self.dX is None else self.dX[rows],
            smoothing=smoothing,
            rounding=rounding,
        )

    def _begin(self, stored=None):
        """Before the first chunk: zeros in dW, but for columns that will be `stored`."""
        if self.is_begun or self.is_zeros:
            self.is_begun = True
            return
        self.is_begun = True
        rows = self.dW if self.dW.flags.c_contiguous else self.dW.T
        chosen = np.ones(len(rows), np.uint8)
        if stored is not None and rows is not self.dW:
            chosen[stored] = 0
        zero_rows(rows.view(np.int8), chosen, threads.for_work(self.inputs.n_threads, self.dW.size))

    def result(self):
        self._begin()  # without any rows
        if self.columns is not None:
            return self.dX, self.columns, self.dW, self.dbias
        return self.dX, self.dW, self.dbias
