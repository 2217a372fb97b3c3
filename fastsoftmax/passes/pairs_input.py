"""What the linear functions do with a sparse W, which holds pairs: passes over chunks of the rows of checked X, W, bias."""

import numpy as np
from scipy import sparse

from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.passes import pairs, pairs_scan
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.runtime import threads, workspaces
from fastsoftmax.runtime.csr_rows import CsrRows
from fastsoftmax.validation import check_bias, check_n_threads, check_no_second_bias, check_sparse_W, check_X


class PreparedWeights:
    """A sparse W and its bias, with all that `linear_*` functions need of them and that does not depend on X.

    Pass it to `linear_logsumexp`, `linear_topk` or `linear_cross_entropy` in the place of W, without a bias. It pays where
    they are called again and again with the same weights: else they go through all classes, and check all pairs, in each
    call.

    Parameters
    ----------
    W : (n_classes, n_features) scipy.sparse matrix, float32 or float64
        Its values may change in place afterwards, as long as they stay finite, where it is in the fast format: CSC with
        int32 indices, sorted and distinct. Otherwise this holds a copy. Its indices and indptr must not change: nothing
        checks them again.
    bias : (n_classes,) array, optional
        It is copied.
    n_threads : int, optional
        For the preparation. None: OpenMP's default; -1: all CPUs of the process.

    Raises
    ------
    ValueError, TypeError
        If W is not sparse, or holds NaN or infinity, or the shape of the bias does not fit.

    Notes
    -----
    It keeps the mass of all classes at their biases, two numbers a class, and with more than 32,768 classes two numbers
    more a stored element of W: (bias, exponential) of its class, so that a row reads nothing that lies far apart.
    """

    def __init__(self, W, bias=None, *, n_threads=None):
        n_threads = threads.resolve(check_n_threads(n_threads))
        self._prepare(check_sparse_W(W), bias, n_threads)
        self.weights = self.weights.with_kept_base(self.base)

    def _prepare(self, W, bias, n_threads, *, copies=True):
        self.W, (self.n_classes, self.n_features) = W, W.shape
        self.has_bias = bias is not None
        bias = check_bias(bias, self.n_classes, W.dtype)
        self.bias = bias.copy() if self.has_bias and copies else bias
        self.base = Base(self.bias if self.has_bias else np.zeros(self.n_classes, W.dtype), n_threads)
        self.weights = pairs.PairWeights(self.n_classes, W.indptr, W.indices.astype(np.int32, copy=False), W.data)

    @classmethod
    def _for_one_call(cls, W, bias, n_threads):
        """The same without copies, of which a single call would have little."""
        prepared = object.__new__(cls)
        prepared._prepare(check_sparse_W(W), bias, n_threads, copies=False)
        return prepared


class SparseLinearInput:
    """Checks X, a sparse W or PreparedWeights, and the bias, and offers passes over chunks of rows, in W's dtype."""

    def __init__(self, X, W, bias, n_threads=1):
        prepared = check_no_second_bias(W, bias) if isinstance(W, PreparedWeights) else None
        if prepared is None:
            prepared = PreparedWeights._for_one_call(W, bias, n_threads)
        self.W, self.n_classes = prepared.W, prepared.n_classes
        X = check_X(X, n_features=prepared.n_features, dtype=self.W.dtype)
        self.X = X if sparse.issparse(X) else sparse.csr_array(X)
        self.n_rows = self.X.shape[0]
        self.has_bias, self.bias, self.base = prepared.has_bias, prepared.bias, prepared.base
        self.reader, self.n_threads = RowReader(prepared.n_features), n_threads
        n_pairs = pairs_scan.measure(CsrRows.of(self.X), prepared.weights).n_pairs
        self.weights = prepared.weights.with_base(self.base, n_pairs)

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

    def log_sum_exps(self, rows, workspace):
        return pairs_scan.log_sum_exps(self._rows(rows), self.weights, self.base, self.n_threads, workspace)

    def topk(self, rows, k, eligible, workspace):
        return pairs_scan.topk(self._rows(rows), self.weights, self.base, k, self.n_threads, workspace, eligible)

    def _rows(self, rows):
        return CsrRows.of(self.X).of_rows(rows.start, rows.stop)

    def gradient_forms(self):
        """The shape, dtype and memory order of each gradient, or None where there is none."""
        dtype = self.W.dtype
        return {
            "dX": None,
            "dW": (self.weights.data.shape, dtype, "C"),
            "dbias": (self.bias.shape, dtype, "C") if self.has_bias else None,
        }

    def gradients(self, out=(None, None, None), *, by_columns=False, wanted=(True, True, True)):
        return SparseGradients(self, out)


class SparseGradients:
    """dW and dbias, summed over chunks of rows. `rounding` has no effect here."""

    def __init__(self, inputs, out):
        _, dW, self.dbias = out
        self.dW = np.empty_like(inputs.weights.data) if dW is None else dW
        self.dW.fill(0)
        self.bias = pairs.BiasGradient(inputs.base, inputs.n_threads) if inputs.has_bias else None

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
