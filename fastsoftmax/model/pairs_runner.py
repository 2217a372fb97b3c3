"""The runner of a model whose only term is sparse: a row costs what its pairs do, however many classes there are."""

import numpy as np
from scipy import sparse

from fastsoftmax.model.runner import Runner
from fastsoftmax.passes import clipping, pairs, pairs_scan
from fastsoftmax.passes.candidates import EXACT
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.passes.row_losses import SOFTMAX
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.runtime.csr_rows import CsrRows

CHUNK_PAIRS = 1 << 20  # pairs of a row's feature and a class that are in memory at a time; fewer would take longer


class PairsRunner(Runner):
    """A Runner for a Model with pairs and no low-rank term. The bias must not change while the runner lives.

    loss : row_losses.RowLoss that `step` steps along
    base : Base of the bias and the loss, if there is one already
    """

    def __init__(self, model, X, *, loss=SOFTMAX, base=None, **kwargs):
        super().__init__(model, X if sparse.issparse(X) else sparse.csr_array(X), **kwargs)
        self.base = base or Base(model.bias, self.n_threads, loss)
        self.weights = model.pair_weights
        self.weights = self.weights.with_base(self.base, pairs_scan.measure(CsrRows.of(self.X), self.weights).n_pairs)

    def _forward(self, rows, target=None, **kwargs):
        shard = self.model.shard
        return pairs.PairsForward(
            self._batch(rows),
            self.weights,
            self.base,
            shard.own(RowTargets.of(target, len(rows))),
            n_threads=self.n_threads,
            workspace=self.workspace,
            shard=shard,
            **kwargs,
        )

    def step(self, rows, target, scale, rule, estimate=EXACT):
        if estimate is not EXACT:
            raise ValueError("a sparse term alone computes its gradients exactly: there is nothing to estimate")
        forward = self._forward(rows, target)
        loss = scale @ forward.nll
        if np.isfinite(loss):
            self.model.note_change()
            if rule.clip_norm is not None:
                squared = clipping.squared_rows(forward.batch)
                scale = scale * clipping.row_factors(rule.clip_norm, forward, squared)
            forward.backward(scale, self.model.W, state=self.model.state.get("W"), rule=rule)
        return loss

    def chunks(self):
        lengths = self.model.shard.add(self.model.pairs.n_classes())  # or ranks would have other chunks
        for start, stop in pairs.row_chunks(self.X, lengths, CHUNK_PAIRS):
            yield np.arange(start, stop)

    def _topk(self, rows, k, eligible, normalise):
        if self._ids is None:
            taken = CsrRows.of(self._X).of_rows(rows[0], rows[-1] + 1)
        else:
            taken = CsrRows.of(self._taken(rows))
        common = {"n_threads": self.n_threads, "workspace": self.workspace, "shard": self.model.shard}
        return pairs_scan.topk(taken, self.weights, self.base, k, **common, eligible=eligible, normalise=normalise)

    def _nll(self, rows, target):
        return self._forward(rows, target, keep=False).nll

    def term_derivatives(self, target, weight):
        """The weighted loss of all rows, its gradient with respect to the bias, and its derivative by a factor of W, at 1."""
        model, loss = self.model, 0.0
        dW, dbias = np.zeros_like(model.W), np.zeros_like(model.bias)
        bias_gradient = pairs.BiasGradient(self.base, self.n_threads)
        for rows in self.chunks():
            forward = self._forward(rows, target[rows])
            loss += weight[rows] @ forward.nll
            forward.backward(weight[rows], dW, dbias=bias_gradient)
        bias_gradient.finish(dbias)
        return loss, dbias, float(np.einsum("i,i", dW, model.W, dtype=np.float64))  # without copies in float64
