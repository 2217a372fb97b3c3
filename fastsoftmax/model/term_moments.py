"""How the loss of rows depends on factors of the model's terms: its value, gradient and Hessian, all from one pass.

The logits are sums of terms, z_k = sum_a f_a t_ak, with a factor f_a for each term: bias, prior, x . W and (x E) . V. With
d_k = t_k - t_y, where y is the class of the row, and probabilities p, the loss of the row has the gradient E_p[d] and the
Hessian E_p[d d'] - E_p[d] E_p[d]': it needs the moments of the terms over all classes, up to the second. The class y itself,
whose d is 0, is left out of the sums, so that small losses keep their digits.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.passes.true_classes import logits_of_classes
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.blocks import RANGES, each

BLOCK = 1 << 18  # logits that are in memory at a time for a thread


class Moments(NamedTuple):
    """Sums over classes of w = exp(z - top), w t_a and w t_a t_b for each row."""

    top: np.ndarray  # (n_rows,)
    total: np.ndarray  # (n_rows,)
    first: np.ndarray  # (n_rows, n_terms)
    second: np.ndarray  # (n_rows, n_terms, n_terms)

    def __add__(self, other):
        top = np.maximum(self.top, other.top)
        a, b = np.exp(self.top - top), np.exp(other.top - top)
        pairs = zip(self[1:], other[1:], strict=True)
        return Moments(top, *((x.T * a + y.T * b).T for x, y in pairs))


class Chunk:
    """Some rows of a runner whose model has a low-rank term, for any factors of its terms.

    Parameters
    ----------
    runner : model.runner.Runner
    rows : (n,) int64
    target : (n,) int64 class codes of these rows
    names : list of the terms, some of "bias", "prior", "W" and "V" in this order, in which V has to be
    """

    def __init__(self, runner, rows, target, names):
        self.model, self.n_threads = runner.model, runner.n_threads
        terms = runner.terms(rows)
        self.target, self.hidden = self.model.shard.own_codes(target), terms.hidden.copy()
        self.names = names
        self.of_class = [name for name in names if name in ("bias", "prior")]  # the same for all rows
        self.added = None if terms.additions is None else _by_class(terms.additions, self.model.n_classes)
        self.at_target = np.zeros((len(target), len(names)))
        here = np.flatnonzero(self.target >= 0)
        for i, name in enumerate(names):
            self.at_target[here, i] = self._at_target(name, here, self.target[here])
        self.model.shard.add(self.at_target)

    def _at_target(self, name, rows, target):
        if name == "V":
            return logits_of_classes(self.hidden, self.model.V, rows, target)
        if name == "W":
            return np.asarray(self.added[rows, target]).reshape(-1)
        return getattr(self.model, name)[target]

    def loss(self, factors):
        """The loss of each row, (n,), its gradient (n, n_terms) and its Hessian (n, n_terms, n_terms)."""
        n_classes = self.model.n_classes
        width = max(1, BLOCK // len(self.target))
        step = -(-n_classes // (RANGES * width)) * width
        ranges = [range(start, min(start + step, n_classes), width) for start in range(0, n_classes, step)]
        with threads.one_blas_thread():
            parts = list(each(lambda starts: self._moments(starts, width, factors), ranges, self.n_threads))
        rest = sum(parts[1:], parts[0])
        of_ranks = [Moments(*arrays) for arrays in zip(*map(self.model.shard.ranks.gather, rest), strict=True)]
        rest = sum(of_ranks[1:], of_ranks[0])
        with np.errstate(divide="ignore"):
            gap = rest.top + np.log(rest.total) - self.at_target @ factors
        share = np.exp(-np.logaddexp(0.0, -gap))  # of the other classes
        total = np.where(rest.total > 0, rest.total, 1.0)
        mean, y = rest.first / total[:, None], self.at_target
        cross = mean[:, :, None] * y[:, None, :]
        second = rest.second / total[:, None, None] - cross - cross.transpose(0, 2, 1) + y[:, :, None] * y[:, None, :]
        gradient = share[:, None] * (mean - y)
        hessian = share[:, None, None] * second - gradient[:, :, None] * gradient[:, None, :]
        return np.logaddexp(0.0, gap), gradient, hessian

    def _moments(self, starts, width, factors):
        """The Moments of a range of classes, block by block; `starts` : range of the first class of each."""
        moments = None
        for start in starts:
            block = slice(start, min(start + width, starts.stop))
            part = self._block(block, dict(zip(self.names, factors, strict=True)))
            moments = part if moments is None else moments + part
        return moments

    def _block(self, block, factors):
        model, n_rows = self.model, len(self.target)
        of_class = np.stack([getattr(model, name)[block] for name in self.of_class], axis=1)
        V = self.hidden @ model.V[block].T
        z = V * model.dtype.type(factors["V"])
        z += of_class.astype(np.float64) @ [factors[name] for name in self.of_class]
        if self.added is not None:
            row, column, W = self._added(block)
            z[row, column] += W * model.dtype.type(factors["W"])
        mine = np.flatnonzero((self.target >= block.start) & (self.target < block.stop))
        z[mine, self.target[mine] - block.start] = -np.inf
        top = z.max(axis=1)
        top = np.where(np.isfinite(top), top, np.finfo(top.dtype).min)  # a block of nothing but the target
        z -= top[:, None]
        w = np.exp(z, out=z)
        total = w.sum(axis=1, dtype=np.float64)
        by_class = np.concatenate([of_class, *(of_class * of_class[:, [b]] for b in range(of_class.shape[1]))], axis=1)
        of_classes = (w @ by_class).astype(np.float64)
        n, n_terms = len(self.of_class), len(self.names)
        second = np.empty((n_rows, n_terms, n_terms))
        second[:, :n, :n] = of_classes[:, n:].reshape(n_rows, n, n)
        means = [*of_classes[:, :n].T]
        if self.added is not None:
            w_W = w[row, column] * W
            means.append(np.bincount(row, weights=w_W, minlength=n_rows))
            products = [*(w_W * of_class[column, a] for a in range(n)), w_W * W, w_W * V[row, column]]
            for a, product in enumerate(products):
                second[:, n, a] = second[:, a, n] = np.bincount(row, weights=product, minlength=n_rows)
        w *= V
        means.append(w.sum(axis=1, dtype=np.float64))
        second[:, :n, -1] = second[:, -1, :n] = w @ of_class
        second[:, -1, -1] = np.einsum("ij,ij->i", w, V)
        return Moments(top.astype(np.float64), total, np.stack(means, axis=1), second)

    def _added(self, block):
        """Row, class in the block and value of what the sparse term adds to the logits there."""
        begin, end = self.added.indptr[block.start], self.added.indptr[block.stop]
        column = np.repeat(
            np.arange(block.stop - block.start), np.diff(self.added.indptr[block.start : block.stop + 1])
        )
        return self.added.indices[begin:end], column, self.added.data[begin:end]


def _by_class(additions, n_classes):
    """Additions as a CSC matrix (n_rows, n_classes)."""
    lengths = additions.end - additions.begin
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    entry = np.arange(indptr[-1]) + np.repeat(additions.begin - indptr[:-1], lengths)
    shape = len(lengths), n_classes
    return sparse.csr_array((additions.values[entry], additions.class_ids[entry], indptr), shape=shape).tocsc()
