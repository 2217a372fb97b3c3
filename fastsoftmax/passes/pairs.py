"""The two passes over the logits of a sparse term for a batch, around the kernels of src/pairs.

`PairsForward` finds the classes that the rows touch and their logits, then log-sum-exps and losses. Its `backward` turns row
weights into gradients or optimiser steps. What all rows share, the mass of the classes at their biases, is a `Base`.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels import pairs as pairs_kernel
from fastsoftmax.kernels import pairs_bias
from fastsoftmax.kernels.additions import Additions
from fastsoftmax.passes.logit_gradient import LogitGradient, smoothed
from fastsoftmax.passes.pairs_base import BIAS_WORK
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.workspaces import Workspace

PAIRED_FROM = 1 << 15  # classes whose (bias, exponential) a second-level cache holds
COPY_PAIRS = 4  # pairs of rows that read the biases of all classes in the time that one copy takes
ROWS_AT_A_TIME = 1 << 14  # rows whose pairs are counted at a time
PAIR_WORK = 16  # multiply-adds that a pair of a row's feature and a class costs


class PairWeights(NamedTuple):
    """W in CSC form: the classes of feature j are class_ids[indptr[j] : indptr[j + 1]], all different."""

    n_classes: int
    indptr: np.ndarray  # (n_features + 1,) int32 or int64
    class_ids: np.ndarray  # int32
    data: np.ndarray  # float32 or float64; or model.compact.CompactPairs, which have no gradient
    base: np.ndarray | None = None  # (n_pairs, 2): `Base.pairs` of each pair's class

    def with_base(self, base, n_pairs):
        """These weights, with copies of the class biases beside them where a cache cannot hold the biases of all classes.

        With ten million classes, a third of the time of a row goes into reading the biases of its classes, which lie far
        apart. For rows with few pairs in all, `n_pairs`, the copies would cost more than they save, and there are none.
        """
        is_worth_it = self.n_classes > PAIRED_FROM and n_pairs > COPY_PAIRS * len(self.data)
        return self._replace(base=base.beside(self.class_ids)) if is_worth_it and self.base is None else self

    def with_kept_base(self, base):
        """The same where they are kept for any number of rows."""
        return self.with_base(base, np.inf)


def pairs_before(X, lengths):
    """The number of pairs (entry, class of its feature) before each of the CSR rows `X`, and in all: (n_rows + 1,)."""
    lengths, n_rows = lengths.astype(np.int64), X.shape[0]
    before = np.zeros(n_rows + 1, np.int64)
    for start in range(0, n_rows, ROWS_AT_A_TIME):  # or counts for each entry would take more memory than X
        ends = X.indptr[start : min(start + ROWS_AT_A_TIME, n_rows) + 1]
        sums = np.concatenate([[before[start]], lengths[X.indices[ends[0] : ends[-1]]]]).cumsum()
        before[start + 1 : start + len(ends)] = sums[ends[1:] - ends[0]]
    return before


def step_bytes(X, lengths, batch_size, itemsize):
    """The bytes that the largest step on `batch_size` rows of `X` takes beside the weights, and how many pairs it has."""
    if isinstance(X, np.ndarray):
        pairs = np.full(X.shape[0], lengths.sum(dtype=np.int64))
    else:
        pairs = np.diff(pairs_before(X, lengths))
    n_pairs = int(np.sort(pairs)[-batch_size:].sum())
    return n_pairs * pair_bytes(itemsize), n_pairs


def pair_bytes(itemsize):
    """The bytes that a pair of a row of a step takes: position, class and logit."""
    return 4 + 4 + itemsize


def row_chunks(X, lengths, n_pairs, max_rows=8192):
    """Yield (start, stop) of chunks of the CSR rows `X` with up to `n_pairs` pairs (entry, class of its feature) each.

    A chunk has at least one row, and at most `max_rows`, since larger chunks gain nothing.

    lengths : (n_features,) how many classes each feature has
    """
    before = pairs_before(X, lengths)
    start, n_rows = 0, X.shape[0]
    while start < n_rows:
        stop = int(np.searchsorted(before, before[start] + n_pairs, side="right")) - 1
        stop = min(max(stop, start + 1), start + max_rows, n_rows)
        yield start, stop
        start = stop


class PairsForward:
    """The first pass over a batch; `backward`, the second pass, overwrites it and can run only once.

    Parameters
    ----------
    batch : kernels.batch.Batch
    weights : PairWeights
    base : Base
    target : RowTargets of class codes; or (n_rows,) int64, -1 for rows without a target; or None
    n_threads : resolved number of threads
    workspace : Workspace or None
    keep : bool
        Whether what `backward` needs is kept.
    normalise : bool
        False: the pass stops at the logits of the touched classes, which are to be added to others.
    shard : shard.Shard of these classes; `target` are its own targets

    Attributes
    ----------
    row_ptr : (n_rows + 1,) intp
        The touched classes of row i begin at row_ptr[i], its targets first.
    n_touched : (n_rows,) intp
        How many classes each row touches; row_ptr leaves room for more.
    touched : (row_ptr[-1],) int32
        The ids of the touched classes.
    logits : (row_ptr[-1],) array
        The logits of the touched classes, bias included. Normalising turns them into exponentials or derivatives of binary
        losses, and `backward` turns these into gradients.
    rest : (n_rows,) float64 log-sum-exps, or sums of binary losses, over all classes except the targets
    lse, nll : (n_rows,) float64 log-sum-exps, which binary losses have none of, and losses; the loss is that of `base`
    """

    weight = None  # of the negatives: 1

    def __init__(
        self, batch, weights, base, target=None, *, n_threads=1, workspace=None, keep=True, normalise=True, shard=WHOLE,
    ):  # fmt: skip
        self.batch, self.weights, self.base, self.loss, self.shard = batch, weights, base, base.loss, shard
        self.workspace = workspace or Workspace()
        self.row_targets = targets = RowTargets.of(target, len(batch.indptr) - 1)
        self.starts = weights.indptr[batch.feature_ids].astype(np.intp)
        ends = weights.indptr[batch.feature_ids + 1].astype(np.intp)
        self.lengths = ends - self.starts
        pos_ptr, self.row_ptr, self.offsets = pairs_kernel.plan(
            batch.indptr, batch.indices, batch.col_indptr, self.lengths, targets.indptr, weights.n_classes
        )
        n_rows, n_pairs = len(pos_ptr) - 1, int(pos_ptr[-1])
        self.n_threads = threads.for_work(n_threads, PAIR_WORK * n_pairs)
        self.touched = self.array("touched", (self.row_ptr[-1],), np.int32)
        self.logits = self.array("logits", (self.row_ptr[-1],))
        self.positions = self.array("positions", (n_pairs,), np.int32) if keep else None
        self.n_touched, self.mass = np.empty(n_rows, np.intp), np.empty(n_rows)
        capacity = int(np.diff(self.row_ptr).max(initial=0))
        tables = self.array("tables", (self.n_threads, pairs_kernel.table_size(capacity, weights.n_classes)), np.int64)
        tables.fill(0)
        bases = self.array("bases", (self.n_threads, 1 if weights.base is None else 2 * capacity + 2))
        scale = getattr(weights.data, "scale", None)  # only compact weights have one
        scale = None if scale is None else scale[batch.feature_ids]
        self.max, self.total, self.target_logit = np.empty(n_rows), np.empty(n_rows), np.empty(len(targets))
        exponentials = self.max, self.total, self.target_logit
        pairs_kernel.touch(
            batch, (self.starts, ends, *weights[2:], scale), base.bias, base.pairs, targets.indptr, targets.class_ids,
            pos_ptr, self.row_ptr, self.touched, self.logits, self.positions, self.n_touched, self.mass, tables, bases,
            self.n_threads, exponentials if normalise and self.loss.binary < 0 else None,
        )  # fmt: skip
        if normalise:
            self._normalise(exponentiated=True)

    def additions(self):
        """The logits as passes.tiles.Terms takes them, to add to others."""
        begin = self.row_ptr[:-1]
        return Additions(begin, begin + self.n_touched, self.touched, self.logits)

    def array(self, name, shape, dtype=None):
        return self.workspace.array(f"sparse.{name}", shape, self.base.bias.dtype if dtype is None else dtype)

    def _normalise(self, *, exponentiated=False):
        """Compute log-sum-exps and losses: untouched classes have their biases as logits.

        exponentiated : whether `touch` has made exponentials of the logits, where the loss has such
        """
        t, loss = self.row_targets, self.loss
        rows, outputs = (self.row_ptr, self.n_touched, self.logits, t.indptr), (self.total, self.target_logit)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            if loss.binary >= 0:
                pairs_kernel.differentiate(loss.binary, *rows, *outputs, self.n_threads)
                self.rest = self.total + np.maximum(self.base.mass - self.mass, 0.0)
            else:
                if not exponentiated:
                    pairs_kernel.exponentiate(*rows, self.max, *outputs, self.n_threads)
                self.rest = self._add_untouched(self.max + np.log(self.total))
            self.rest, self.reduced = self.shard.reduce(loss, self.rest, self.target_logit, t)
        self.lse, self.nll = self.reduced.lse, self.reduced.nll

    def _add_untouched(self, log_touched):
        """log(exp(log_touched) + mass of the untouched classes)

        That mass is the base's mass less the mass of the touched classes at their biases. The rounding errors of this
        difference, about 1e-15 of the base, are smaller than all others while the sum is above EXACT_BELOW of the base. Where
        it is below, because the touched classes hold nearly all of the base and their logits have fallen, the untouched
        classes are added up one by one.
        """
        base, n_classes = self.base, self.weights.n_classes
        untouched = np.where(self.n_touched == n_classes, 0.0, np.maximum(base.mass - self.mass, 0.0))
        log_all = np.logaddexp(log_touched, base.shift + np.log(untouched))
        rows = np.flatnonzero((log_all < base.least_exact) & (self.n_touched < n_classes))
        if rows.size:
            most = int(self.n_touched[rows].max())
            ranking = base.ranking(2 * most + 2)  # pairs_bias.remainder says why
            marks = self.array("marks", (self.n_threads, len(ranking.ids)), np.uint8)
            log_untouched = np.full(len(log_all), -np.inf)
            pairs_bias.remainder(
                rows, self.row_ptr, self.n_touched, self.touched, base.bias, ranking.ids, *ranking.beyond, marks,
                log_untouched, self.n_threads,
            )  # fmt: skip
            log_all[rows] = np.logaddexp(log_touched[rows], log_untouched[rows])
        return log_all

    def backward(self, scale, dW=None, *, state=None, rule=None, dbias=None, smoothing=None):
        """Compute the gradients of sum_i scale[i] nll[i], and add or apply them.

        Parameters
        ----------
        scale : (n_rows,) float64; 0 for rows that do not count
        dW : (n_pairs,) array like weights.data, or None
            With a `rule`, these are the weights themselves, which take its step; without, the gradient is added to dW.
            None: only `logits` become gradients.
        state : array like dW, or None
            The state of the rule, if it has one.
        rule : optimizers.Rule or None
        dbias : BiasGradient or None
            It takes up this batch's part of the gradient of the bias.
        smoothing : None, or (scale_p, prior_scale, prior)
            The gradient of the logits is scale_p p - scale [target] - prior_scale prior. It is for softmax with one target a
            row only.
        """
        g = self.logit_gradient(scale, smoothing)
        factor = g.scale
        if g.lse is not None:
            with np.errstate(invalid="ignore", over="ignore", under="ignore"):
                factor = np.where(g.scale == 0, 0.0, g.scale * np.exp(self.max - g.lse))
        pairs_kernel.gradient(
            self.row_ptr, self.n_touched, self.touched, self.logits, factor, self.row_targets.indptr, g.target,
            g.prior_scale, g.prior, threads.for_work(self.n_threads, self.row_ptr[-1]),
        )  # fmt: skip
        if dW is not None:
            scratch = self.array("gradient", (self.n_threads, pairs_kernel.PIECE))
            pairs_kernel.step(
                self.batch, self.starts, self.lengths, self.offsets, self.positions, self.row_ptr, self.logits, dW, state,
                rule, scratch, self.n_threads,
            )  # fmt: skip
        if dbias is not None:
            dbias.add(self, g.scale, g.prior_scale, g.prior)

    def logit_gradient(self, scale, smoothing=None):
        """The LogitGradient of sum_i scale[i] nll[i]."""
        r, t = self.reduced, self.row_targets
        gradient = LogitGradient(scale * r.factor, r.lse, scale[t.rows] * r.dlogit)
        if smoothing is None:
            return gradient
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            return smoothed(gradient, self.target_logit, t, scale, *smoothing)


class BiasGradient:
    """The gradient of the bias over any number of batches; it takes one pass over all classes, at the end.

    It is there for losses with log-sum-exps, not for binary ones.
    """

    def __init__(self, base, n_threads=1):
        self.base = base
        self.n_threads = threads.for_work(n_threads, BIAS_WORK * len(base.bias))
        self.sums = np.zeros(len(base.bias))
        self.lse, self.scale, self.prior_scale, self.prior = [], [], 0.0, None

    def add(self, forward, scale, prior_scale, prior):
        """Add the rows of a PairsForward whose `logits` have become gradients."""
        f = forward
        values = f.array("dbias", f.logits.shape, np.float64)
        pairs_bias.untouch(
            f.row_ptr,
            f.n_touched,
            f.touched,
            f.base.bias,
            f.logits,
            scale,
            f.lse,
            prior_scale,
            prior,
            values,
            f.n_threads,
        )
        pairs_bias.scatter(f.row_ptr, f.n_touched, f.touched, values, self.sums, f.n_threads)
        self.lse.append(f.lse)
        self.scale.append(scale)
        if prior is not None:
            self.prior, self.prior_scale = prior, self.prior_scale + prior_scale.sum()

    def finish(self, out, *, state=None, rule=None):
        """Add the gradient to `out`; with a `rule`, `out` is the bias, which takes its step."""
        lse, scale = np.concatenate([[], *self.lse]), np.concatenate([[], *self.scale])
        lse, scale = lse[scale > 0], scale[scale > 0]
        order = np.argsort(lse, kind="stable")
        with np.errstate(invalid="ignore"):
            shares = np.append(np.log(scale[order]) - lse[order], -np.inf)
            log_share = np.logaddexp.accumulate(shares[::-1])[::-1].copy()
        scratch = np.empty((self.n_threads, pairs_bias.SCRATCH))
        pairs_bias.finish(
            self.base.bias, self.sums, lse[order], log_share, self.prior_scale, self.prior, out, state, rule, scratch,
            self.n_threads,
        )  # fmt: skip
