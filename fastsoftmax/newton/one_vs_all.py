"""One-vs-all problems, each solved to its optimum: one binary problem a class, over rows that all of them share.

A problem has labels y_i of 1 and -1 and minimises ``1/2 ||w||^2 + sum_i c_i loss(y_i w . x_i)``, by Newton's method with
conjugate gradients. WIDTH problems are solved side by side, so that a product with X reads each entry of X once for all of
them, while each has steps and an end of its own: the result of a problem does not depend on its neighbours.
"""

import threading
from contextlib import closing
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.kernels import low_rank
from fastsoftmax.kernels import one_vs_all as kernel
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.blocks import each

WIDTH = kernel.MAX_WIDTH  # problems of a block
MAX_CG_STEPS = 50  # in one iteration of Newton's method
CG_SHARE = 0.25  # of the gradient, which is left of it when conjugate gradients end
SMALLEST_STEP = 1e-6
ROUNDINGS = 64  # of the objective hide what it can still fall by
MAX_STALLS = 4  # steps that lower neither the objective, beyond rounding, nor the gradient
MAX_CURVATURE = {"logistic": 0.25, "squared_hinge": 2.0}  # the largest second derivative of the loss
ARRAYS_OF_ROWS, ARRAYS_OF_FEATURES = 4, 5  # with an element for each problem of a block


class SparseRows:
    """Products of CSR rows with blocks of columns. A block is computed by one thread."""

    def __init__(self, X):
        self.X, self.shape, self.dtype = X, X.shape, X.dtype
        self._by_row = _as_entries(X)
        self._by_feature = _as_entries(X.T.tocsr())

    def logits(self, W, out):
        """out <- X W, (n_rows, width)."""
        low_rank.project(*self._by_row, W, out, 1)

    def gradient(self, slopes, out):
        """out <- X^T slopes, (n_features, width)."""
        low_rank.project(*self._by_feature, slopes, out, 1)


class DenseRows:
    """The same for a dense X."""

    def __init__(self, X):
        self.X, self.shape, self.dtype = X, X.shape, X.dtype

    def logits(self, W, out):
        np.matmul(self.X, W, out=out)

    def gradient(self, slopes, out):
        np.matmul(self.X.T, slopes, out=out)


def rows_of(X, scales=None, intercept=None):
    """SparseRows or DenseRows of X, with features multiplied by `scales`, and a last feature of the value `intercept`."""
    if isinstance(X, np.ndarray):
        X = X if scales is None else X * scales
        if intercept is not None:
            X = np.column_stack([X, np.full(len(X), intercept, X.dtype)])
        return DenseRows(X)
    if scales is not None:
        X = sparse.csr_array((X.data * scales[X.indices], X.indices, X.indptr), shape=X.shape)
    if intercept is not None:
        last = sparse.csr_array(np.full((X.shape[0], 1), intercept, X.dtype))
        X = sparse.csr_array(sparse.hstack([X, last], format="csr"))
    return SparseRows(X)


def weighted_squares(X, weight):
    """The sums of the squares of each feature of X, dense or CSR, by weights of its rows: (n_features,) float64."""
    if isinstance(X, np.ndarray):
        return np.einsum("ij,ij,i->j", X, X, weight, dtype=np.float64)
    squares = sparse.csr_array((np.square(X.data, dtype=np.float64), X.indices, X.indptr), shape=X.shape)
    return squares.T @ weight.astype(np.float64)


def feature_scales(X, weight, power):
    """What each feature is multiplied by, (n_features,) of X's dtype; None: nothing."""
    if power == 0:
        return None
    sizes = np.sqrt(np.minimum(weighted_squares(X, weight), np.finfo(np.float64).max))
    occur = sizes > 0
    typical = np.median(sizes[occur]) if occur.any() else 1.0
    return (np.where(occur, sizes / typical, 1) ** -power).astype(X.dtype)


def _as_entries(X):
    all_features = np.empty(0, np.int64)
    return X.indptr.astype(np.intp, copy=False), X.indices.astype(np.int32, copy=False), X.data, all_features


class Problems(NamedTuple):
    """What all problems have in common."""

    rows: SparseRows | DenseRows
    loss: str  # a key of kernel.KINDS
    weight: np.ndarray  # (n_rows,) penalty times c_i of negatives, in the type of X
    positives: sparse.csc_array  # (n_rows, n_classes): the rows of each class
    positive_weight: np.ndarray  # (n_classes,) factors of c_i for the positives of a class
    penalty: float  # of 1/2 ||w||^2: the unit of objectives, in which their squares neither overflow nor underflow


def solve(problems, tol, max_iter, n_threads, done):
    """Yield (classes, W (n_features, n), n_iter, which converged (n,) bool) for one block of n classes after the other.

    A problem has converged when the norm of its gradient is at most `tol` times that at zero, or when rounding hides what its
    objective can still fall by, and its gradient becomes no smaller in MAX_STALLS steps.

    Parameters
    ----------
    problems : Problems
    done : function that is called with the number of classes of each block that is solved
    """
    n_classes = problems.positives.shape[1]
    width = block_width(n_classes)
    curvature = MAX_CURVATURE[problems.loss] * weighted_squares(problems.rows.X, problems.weight)
    inverse = (1 / (problems.penalty + curvature)).astype(problems.rows.dtype)
    cancelled = threading.Event()

    def solve_block(start):
        classes = slice(start, min(start + width, n_classes))
        return classes, *_Block(problems, classes, width, inverse, cancelled).solve(tol, max_iter)

    for solved in each(solve_block, range(0, n_classes, width), n_threads, cancelled):
        yield solved
        done(solved[0].stop - solved[0].start)


def weights(problems, scales, intercept, min_weight, tol, max_iter, n_threads, done):
    """The solutions of all problems for features as they were before `scales`: (W, bias, n_iter, how many are unsolved).

    W is (n_classes, n_features), dense and feature-major; CSC without weights below `min_weight` unless that is 0.

    Parameters
    ----------
    problems : Problems, whose rows were made with `scales` and `intercept`; see rows_of
    tol, max_iter, n_threads, done : as for `solve`
    """
    dtype, n_classes = problems.rows.dtype, problems.positives.shape[1]
    n_features = problems.rows.shape[1] - (intercept is not None)
    blocks, bias, n_iter, n_left = [], np.zeros(n_classes, dtype), 0, 0
    W = np.zeros((n_features, n_classes), dtype) if min_weight == 0 else None
    # closed by Ctrl-C too, which ends its threads
    with threads.one_blas_thread(), closing(solve(problems, tol, max_iter, n_threads, done)) as solved:
        for classes, solution, iterations, converged in solved:
            if intercept is not None:
                bias[classes] = solution[-1] * intercept
            found = solution[:n_features] if scales is None else solution[:n_features] * scales[:, None]
            if W is not None:
                W[:, classes] = found
            else:
                blocks.append(sparse.csr_array(np.where(np.abs(found) < min_weight, 0, found).T))
            n_iter, n_left = max(n_iter, iterations), n_left + int(np.count_nonzero(~converged))
    W = W.T if W is not None else sparse.csc_array(sparse.vstack(blocks, format="csc"))
    return W, bias, n_iter, n_left


def block_width(n_classes):
    """The number of columns of a block."""
    return min(WIDTH, -(-n_classes // kernel.MULTIPLE) * kernel.MULTIPLE)


def block_bytes(shape, n_classes, itemsize):
    """The bytes that a thread takes for its block, where X has this shape."""
    return (ARRAYS_OF_ROWS * shape[0] + ARRAYS_OF_FEATURES * shape[1]) * block_width(n_classes) * itemsize


class _Block:
    """The problems of some classes, and columns of zeros that fill up the width.

    Arrays by row (n_rows, width): logits, and what Newton's method makes of them. Arrays by feature (n_features, width): W,
    the step, and three of conjugate gradients.
    """

    def __init__(self, problems, classes, width, inverse, cancelled):
        self.cancelled = cancelled
        self.rows, self.weight, self.penalty, self.inverse = problems.rows, problems.weight, problems.penalty, inverse
        self.kind, self.n = kernel.KINDS[problems.loss], classes.stop - classes.start
        positives = problems.positives[:, classes].tocsr()
        self.positives = positives.indptr.astype(np.int64), positives.indices.astype(np.int32)
        (n_rows, n_features), dtype = self.rows.shape, self.rows.dtype
        self.positive_weight = np.ones(width, dtype)
        self.positive_weight[: self.n] = problems.positive_weight[classes]
        self.logits = np.zeros((n_rows, width), dtype)
        self.slopes, self.curvatures, self.changes = (np.empty((n_rows, width), dtype) for _ in range(3))
        self.W, self.step = np.zeros((n_features, width), dtype), np.empty((n_features, width), dtype)
        self.residual, self.direction, self.product = (np.empty_like(self.step) for _ in range(3))

    def solve(self, tol, max_iter):
        """W of the block's classes, the iterations done, and which classes have converged."""
        losses, norms = self._losses(), self._gradient_norms()
        if not np.isfinite(norms).all():
            raise ValueError(
                f"X has values so near the ends of {self.rows.dtype} that gradients overflow: scale X, or give it as float64"
            )
        goal = tol * norms
        ended = np.arange(len(goal)) >= self.n  # no step makes their objective fall
        least, n_stalls, n_iter = norms, np.zeros(len(goal), int), 0
        while n_iter < max_iter:
            active = (norms > goal) & ~ended
            if not active.any():
                break
            losses, moved, hidden = self._go(losses, self._find_step(active), active)
            norms, n_iter = self._gradient_norms(), n_iter + 1
            n_stalls += active & hidden & (norms >= least)
            least = np.minimum(least, norms)
            ended |= (active & ~(moved | hidden)) | (n_stalls == MAX_STALLS)
        converged = (norms <= goal) | (n_stalls == MAX_STALLS)
        return self.W[:, : self.n], n_iter, converged[: self.n]

    def _losses(self):
        """The weighted losses of the logits, (width,) float64; it fills in slopes and curvatures."""
        losses = np.empty(self.logits.shape[1])
        kernel.derivatives(
            self.kind, self.logits, *self.positives, self.weight, self.positive_weight, self.slopes, self.curvatures, losses
        )  # fmt: skip
        return losses

    def _gradient_norms(self):
        """The norms of the gradients, which `residual` becomes, negated."""
        self.rows.gradient(self.slopes, self.residual)
        _add_and_dot(self.W, self.residual, self.penalty)
        np.negative(self.residual, out=self.residual)
        return np.sqrt(_dot(self.residual, self.residual))

    def _find_step(self, active):
        """step <- about minus the inverse Hessian times the gradient, for active problems; 0 for others.

        Returns what the objective falls by if its Hessian stays as it is, (width,). The diagonal of the Hessian with all
        curvatures at their largest is the preconditioner.
        """
        dtype = self.step.dtype
        self.step.fill(0)
        self.direction.fill(0)
        kernel.turn(np.zeros(len(active), dtype), self.residual, self.inverse, self.direction)
        squares = _dot(self.residual, self.direction)
        goal, fall = CG_SHARE**2 * squares, np.zeros_like(squares)
        for _ in range(MAX_CG_STEPS):
            active = active & (squares > goal)
            if not active.any():
                break
            if self.cancelled.is_set():
                raise InterruptedError("no more results are wanted")
            self.rows.logits(self.direction, self.changes)
            np.multiply(self.changes, self.curvatures, out=self.changes)
            self.rows.gradient(self.changes, self.product)
            curvature = _add_and_dot(self.direction, self.product, self.penalty)
            length = _quotient(squares, curvature, active)
            fall += length * squares / 2
            left = np.empty_like(squares)
            kernel.advance(
                length.astype(dtype), self.direction, self.product, self.inverse, self.step, self.residual, left
            )  # fmt: skip
            ratio = _quotient(left, squares, active)
            squares = np.where(active, left, squares)
            kernel.turn(ratio.astype(dtype), self.residual, self.inverse, self.direction)
        return fall

    def _go(self, losses, fall, active):
        """Go along the step, or a part of it where the objective would rise.

        Returns the losses there, which problems moved, and in which rounding hides that the objective falls by `fall`. These
        go along the step too, as long as the objective does not rise by more than rounding.
        """
        self.rows.logits(self.step, self.changes)
        dtype, length = self.step.dtype, active.astype(np.float64)
        half, slope = self.penalty / 2 * _dot(self.W, self.W), self.penalty * _dot(self.W, self.step)
        bend = self.penalty / 2 * _dot(self.step, self.step)  # the penalty is half + length slope + length^2 bend
        before = losses + half
        rounding = ROUNDINGS * np.finfo(dtype).eps * before
        hidden = fall <= rounding
        limit = np.where(hidden, before + rounding, before)
        self.logits += self.changes * length.astype(dtype)
        while True:
            losses = self._losses()
            now = losses + half + length * slope + length**2 * bend
            too_far = active & ~(now < limit) & (length > 0)
            if not too_far.any():
                break
            shorter = np.where(too_far, length / 4, length)
            shorter[shorter < SMALLEST_STEP] = 0
            self.logits += self.changes * (shorter - length).astype(dtype)
            length = shorter
        self.W += self.step * length.astype(dtype)
        return losses, length > 0, hidden


def _dot(a, b):
    """The products of the columns of a and b, (width,) float64."""
    return _add_and_dot(a, b, 0.0)


def _add_and_dot(a, b, scale):
    """b <- b + scale a, and the products of their columns."""
    out = np.empty(a.shape[1])
    kernel.add_and_dot(a, b, scale, out)
    return out


def _quotient(a, b, where):
    return np.divide(a, b, out=np.zeros_like(a), where=where & (b > 0))
