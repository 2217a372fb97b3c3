"""Runs a model that is a sparse direct term alone: a row costs what its support does, whatever the number of classes."""

import numpy as np
from scipy import sparse

from fastsoftmax.model.runner import Runner
from fastsoftmax.passes import clipping, pairs

CHUNK_PAIRS = 1 << 24  # of a row's features and classes: a fraction of a second


class SparseRunner(Runner):
    """As Runner, for a Model with a pattern and without low rank, whose bias stays as it is while the runner lives."""

    def __init__(self, model, X, **kwargs):
        super().__init__(model, X if sparse.issparse(X) else sparse.csr_array(X), **kwargs)
        self.base = pairs.Base(model.bias, self.n_threads)
        self.weights = model.sparse_weights.with_base(self.base, self.X)

    def _forward(self, rows, target=None, **kwargs):
        return pairs.SparseForward(
            self._batch(rows),
            self.weights,
            self.base,
            target,
            n_threads=self.n_threads,
            workspace=self.workspace,
            **kwargs,
        )

    def step(self, rows, target, optimizer, *, weight=1.0):
        """One optimiser step of the weights on a batch's *sum* of weight times loss. Returns the mean, from before it.

        The sum, since most of a row's pairs occur in no other row of the batch: they should learn as fast as if the row
        were alone. Nothing is changed where the mean is not finite.
        """
        forward = self._forward(rows, target)
        weight = np.ones(len(rows)) * weight
        loss = weight @ forward.nll / len(rows)
        if np.isfinite(loss):
            if optimizer.clip_norm is not None:
                squared = clipping.squared_rows(forward.batch)
                weight = weight * clipping.row_factors(optimizer.clip_norm, forward, squared)
            forward.backward(weight, self.model.W, state=self.model.state.get("W"), rule=optimizer)
        return loss

    def chunks(self):
        lengths = np.diff(self.model.pattern.indptr)
        for start, stop in pairs.row_chunks(self.X, lengths, CHUNK_PAIRS):
            yield np.arange(start, stop)

    def _topk(self, rows, k, eligible):
        return pairs.topk(self._batch(rows), self.weights, self.base, k, self.n_threads, self.workspace, eligible)

    def nll(self, target):
        out = np.empty(self.X.shape[0])
        for rows in self.chunks():
            out[rows] = self._forward(rows, target[rows], keep=False).nll
        return np.where(target < 0, np.nan, out)
