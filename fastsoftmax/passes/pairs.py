"""The passes of a softmax with a sparse direct term over a batch, around the kernels of pairs_kernel.pyx.

`PairsForward` finds the classes that the rows touch, and their logits; then log-sum-exp and losses; and `backward` turns row
weights into gradients or optimiser steps. What all rows share, the mass of the classes at their biases, is a `Base`.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels import pairs as pairs_kernel
from fastsoftmax.kernels import pairs_bias
from fastsoftmax.kernels.additions import Additions
from fastsoftmax.passes.eligible import ALL
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.workspaces import Workspace

PAIRED_FROM = 1 << 15  # classes whose (bias, exponential) a second-level cache holds
PAIR_WORK = 16  # multiply-adds that a pair of a row's feature and a class stands for
EXACT_BELOW = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-3}  # share of the base's mass; see PairsForward


class PairWeights(NamedTuple):
    """W in CSC form: the classes of feature j are class_ids[indptr[j] : indptr[j + 1]], all different."""

    n_classes: int
    indptr: np.ndarray  # (n_features + 1,) int32 or int64
    class_ids: np.ndarray  # int32
    data: np.ndarray  # float32 or float64; or _compact.CompactPairs, which no gradient is taken of
    base: np.ndarray | None = None  # (n_pairs, 2): `Base.pairs` of each pair's class, or none

    def with_base(self, base, X):
        """With the biases of the classes beside the weights, where there are so many classes that no cache holds them.

        Half of the time of a row with ten million classes goes into reading the biases of its own, one here, one there. For
        few rows of the CSR `X`, the copies would cost more than they save.
        """
        if self.n_classes <= PAIRED_FROM or pairs_before(X, np.diff(self.indptr))[-1] <= len(self.data):
            return self
        return self._replace(base=base.pairs[self.class_ids])


class Base:
    """The mass of all classes at their biases, exp(max) * mass; and the classes by falling bias, once they are asked for.

    It holds for as long as `bias` is not changed.
    """

    def __init__(self, bias, n_threads=1):
        self.bias = bias
        self.n_threads = threads.for_work(n_threads, 16 * len(bias))
        with np.errstate(invalid="ignore"):
            self.max = float(bias.max())
        self.shift = 0.0 if self.max == -np.inf else self.max
        self.pairs = np.empty((len(bias), 2), bias.dtype)
        self.mass = pairs_bias.write_base(bias, self.shift, self.pairs, self.n_threads)
        self._ranked = np.empty(0, np.int32)

    def ranked(self, n):
        """The `n` or more classes with the largest biases, best first, of equal ones the smaller id."""
        n_classes = len(self.bias)
        if len(self._ranked) < min(n, n_classes):
            n = min(n_classes, max(n, 2 * len(self._ranked)))
            self._ranked = _best(self.bias, n).astype(np.int32)
            self.__dict__.pop("beyond", None)
        return self._ranked

    def ranked_of(self, eligible, n):
        """The same of the classes that are `eligible`, in numbers that suffice for any row's exclusions too."""
        n += eligible.most_excluded
        if eligible.class_ids is None:
            return self.ranked(n)
        return eligible.class_ids[_best(self.bias[eligible.class_ids], n)].astype(np.int32)

    @cached_property
    def beyond(self):
        """(rank_of, mass, shift): the rank of each class among the ranked ones, and the mass of all others."""
        n_ranked = len(self._ranked)
        rank_of = np.full(len(self.bias), n_ranked, np.int32)
        rank_of[self._ranked] = np.arange(n_ranked)
        others = self.bias[rank_of == n_ranked]
        shift = float(others.max(initial=-np.inf))
        if shift == -np.inf:
            return rank_of, 0.0, 0.0
        return rank_of, float(np.exp(others - np.float64(shift)).sum()), shift


def _best(values, n):
    """Positions of the `n` largest values, or of all, best first, of equal ones the first."""
    least = np.partition(values, len(values) - n)[len(values) - n] if 0 < n < len(values) else -np.inf
    best = np.flatnonzero(values > least)
    best = np.append(best, np.flatnonzero(values == least)[: n - len(best)])
    return best[np.argsort(-values[best], kind="stable")]


def pairs_before(X, lengths):
    """(n_rows + 1,) pairs (entry, class of its feature) before each row of the CSR `X`, and in all."""
    return np.concatenate([[0], np.cumsum(lengths.astype(np.int64)[X.indices])])[X.indptr]


def step_bytes(X, lengths, batch_size, itemsize):
    """Bytes that a step on the `batch_size` rows of `X` with the most pairs takes beside the weights, and these pairs."""
    if isinstance(X, np.ndarray):
        pairs = np.full(X.shape[0], lengths.sum(dtype=np.int64))
    else:
        pairs = np.diff(pairs_before(X, lengths))
    n_pairs = int(np.sort(pairs)[-batch_size:].sum())
    return n_pairs * (4 + 4 + itemsize), n_pairs  # position, class and logit


def row_chunks(X, lengths, n_pairs, max_rows=8192):
    """(start, stop) of consecutive rows of the CSR `X` with up to `n_pairs` pairs (entry, class of its feature) each.

    At least one row, at most `max_rows`: larger chunks gain nothing. lengths : (n_features,) classes of each feature
    """
    before = pairs_before(X, lengths)
    start, n_rows = 0, X.shape[0]
    while start < n_rows:
        stop = int(np.searchsorted(before, before[start] + n_pairs, side="right")) - 1
        stop = min(max(stop, start + 1), start + max_rows, n_rows)
        yield start, stop
        start = stop


class PairsForward:
    """The first pass over a batch; `backward`, the second one, uses it up.

    Parameters
    ----------
    batch : _batch.Batch
    weights : PairWeights
    base : Base
    target : (n_rows,) int64 class codes, -1 for rows without a target; or None
    n_threads : resolved number of threads
    workspace : Workspace or None
    keep : bool
        Keep what `backward` needs.
    topk : None, or (values, class_ids, eligible), the first two (n_rows, k), to fill with the k best that are eligible
    normalise : bool
        False: stop at the logits of the touched classes, to be added to others.

    Attributes
    ----------
    row_ptr : (n_rows + 1,) intp
        Row i has its touched classes from row_ptr[i] on, its target first.
    n_touched : (n_rows,) intp
        How many these are; row_ptr leaves room for more.
    touched : int32
        Their ids.
    logits : array
        Theirs, bias included. Normalising turns them into exponentials, `backward` into their gradients.
    lse, nll : (n_rows,) float64
    """

    def __init__(
        self, batch, weights, base, target=None, *, n_threads=1, workspace=None, keep=True, topk=None, normalise=True
    ):
        self.batch, self.weights, self.base, self.target = batch, weights, base, target
        self.workspace = workspace or Workspace()
        self.starts = weights.indptr[batch.feature_ids].astype(np.intp)
        ends = weights.indptr[batch.feature_ids + 1].astype(np.intp)
        self.lengths = ends - self.starts
        pos_ptr, self.row_ptr, self.offsets = pairs_kernel.plan(
            batch.indptr, batch.indices, batch.col_indptr, self.lengths, weights.n_classes
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
        scale = getattr(weights.data, "scale", None)  # of compact weights
        scale = None if scale is None else scale[batch.feature_ids]
        if topk is not None:
            topk = base.ranked_of(topk[2], topk[0].shape[1] + capacity), *topk
        pairs_kernel.touch(
            batch, (self.starts, ends, *weights[2:], scale), base.bias, base.pairs, target, pos_ptr,
            self.row_ptr, self.touched, self.logits, self.positions, self.n_touched, self.mass, tables, bases, self.n_threads,
            topk,
        )  # fmt: skip
        if normalise:
            self._normalise()

    def additions(self):
        """The logits as _head.Terms takes them, to add to others."""
        begin = self.row_ptr[:-1]
        return Additions(begin, begin + self.n_touched, self.touched, self.logits)

    def array(self, name, shape, dtype=None):
        return self.workspace.array(f"sparse.{name}", shape, self.base.bias.dtype if dtype is None else dtype)

    def _normalise(self):
        """Log-sum-exp and loss from the logits of the touched classes, and of all others at their biases."""
        n_rows = len(self.n_touched)
        self.max, total, self.target_logit = np.empty(n_rows), np.empty(n_rows), np.empty(n_rows)
        pairs_kernel.exponentiate(
            self.row_ptr, self.n_touched, self.logits, self.target, self.max, total, self.target_logit, self.n_threads
        )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.rest = self._add_untouched(self.max + np.log(total))  # of all but the target
            self.lse = np.logaddexp(self.rest, self.target_logit)
            self.nll = np.logaddexp(0.0, self.rest - self.target_logit)  # lse - target_logit, without cancellation

    def _add_untouched(self, log_touched):
        """log(exp(log_touched) + mass of the untouched classes)

        That mass is the difference between the base's and the touched classes' at their biases. Its rounding errors, some
        1e-15 of the base, are below those of everything else while the whole is above EXACT_BELOW of the base. Below it,
        where the touched classes hold nearly all of the base and have been pushed down, it is added up the exact way.
        """
        base, n_classes = self.base, self.weights.n_classes
        untouched = np.where(self.n_touched == n_classes, 0.0, np.maximum(base.mass - self.mass, 0.0))
        log_all = np.logaddexp(log_touched, base.shift + np.log(untouched))
        least = base.shift + np.log(base.mass * EXACT_BELOW[base.bias.dtype])
        rows = np.flatnonzero((log_all < least) & (self.n_touched < n_classes))
        if rows.size:
            most = int(self.n_touched[rows].max())
            ranked = base.ranked(2 * most + 2)  # `remainder` says why
            marks = self.array("marks", (self.n_threads, len(ranked)), np.uint8)
            log_untouched = np.full(len(log_all), -np.inf)
            pairs_bias.remainder(
                rows, self.row_ptr, self.n_touched, self.touched, base.bias, ranked, *base.beyond, marks, log_untouched,
                self.n_threads,
            )  # fmt: skip
            log_all[rows] = np.logaddexp(log_touched[rows], log_untouched[rows])
        return log_all

    def backward(self, scale, dW=None, *, state=None, rule=None, dbias=None, smoothing=None):
        """Gradients of sum_i scale[i] nll[i].

        Parameters
        ----------
        scale : (n_rows,) float64; 0 for rows that do not count
        dW : array laid out as weights.data
            With `rule` the weights themselves, which take its step; without, the gradient is added to it. None: only
            `logits` become gradients.
        state : array like dW
            Of the rule, if it has one.
        rule : optimizers.SGD, Adagrad or None
        dbias : BiasGradient or None
            Takes the gradient of the bias down.
        smoothing : None, or (scale_p, prior_scale, prior)
            The gradient of the logits is scale_p p - scale [target] - prior_scale prior.
        """
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            target_dlogit = -scale * np.exp(self.rest - self.lse)
            scale_p, prior_scale, prior = smoothing or (scale, None, None)
            if smoothing is not None:
                target_dlogit += (scale_p - scale) * np.exp(self.target_logit - self.lse)
                target_dlogit -= prior_scale * prior[np.maximum(self.target, 0)]
        pairs_kernel.gradient(
            self.row_ptr, self.n_touched, self.touched, self.logits, self.target, target_dlogit, self.max, scale_p,
            self.lse, prior_scale, prior, self.n_threads,
        )  # fmt: skip
        if dW is not None:
            scratch = self.array("gradient", (self.n_threads, pairs_kernel.PIECE))
            pairs_kernel.step(
                self.batch, self.starts, self.lengths, self.offsets, self.positions, self.row_ptr, self.logits, dW, state,
                rule, scratch, self.n_threads,
            )  # fmt: skip
        if dbias is not None:
            dbias.add(self, scale_p, prior_scale, prior)


class BiasGradient:
    """The gradient of the bias over any number of batches, with one pass over all classes at the end."""

    def __init__(self, base):
        self.base = base
        self.sums = np.zeros(len(base.bias))
        self.lse, self.scale, self.prior_scale, self.prior = [], [], 0.0, None

    def add(self, forward, scale, prior_scale, prior):
        """The rows of a PairsForward whose `logits` are their gradients."""
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
        """Adds the gradient to `out`; with `rule`, `out` is the bias and takes its step."""
        lse, scale = np.concatenate([[], *self.lse]), np.concatenate([[], *self.scale])
        lse, scale = lse[scale > 0], scale[scale > 0]
        order = np.argsort(lse, kind="stable")
        with np.errstate(invalid="ignore"):
            shares = np.append(np.log(scale[order]) - lse[order], -np.inf)
            log_share = np.logaddexp.accumulate(shares[::-1])[::-1].copy()
        scratch = np.empty((self.base.n_threads, pairs_bias.SCRATCH))
        pairs_bias.finish(
            self.base.bias, self.sums, lse[order], log_share, self.prior_scale, self.prior, out, state, rule, scratch,
            self.base.n_threads,
        )  # fmt: skip


def topk(batch, weights, base, k, n_threads, workspace, eligible=ALL):
    """(n_rows, k) class ids and log-probabilities, best first, padded where fewer are `eligible`.

    ValueError where a row's logits hold NaN.
    """
    n_rows = len(batch.indptr) - 1
    values, class_ids = np.empty((n_rows, k), base.bias.dtype), np.empty((n_rows, k), np.int64)
    forward = PairsForward(
        batch, weights, base, n_threads=n_threads, workspace=workspace, keep=False, topk=(values, class_ids, eligible)
    )
    if np.isnan(forward.lse).any():
        raise ValueError(
            f"the logits of row {int(np.flatnonzero(np.isnan(forward.lse))[0])} are NaN: W or bias holds NaN or infinity"
        )
    return eligible.pad(class_ids, values - forward.lse[:, None].astype(values.dtype))
