"""Variables in which the loss of softmax regression curves about equally in all directions.

The Hessian of class k is sum_i s_i p_ik (1 - p_ik) x_i x_i^T + alpha I. It is about v A + alpha I, where A are the second
moments of the features and v is a share of the variance q_k (1 - q_k) of a class of frequency q_k. The T of theta = T u makes
this matrix the identity in u: it comes from the Cholesky factor of the matrix or, where that would be too much work, from its
diagonal.
"""

import numpy as np
from scipy.linalg import lapack

from fastsoftmax.runtime.blocks import Blocks

SHARE = 0.2  # of the variances at the start, since probabilities become surer; 0.1 to 0.5 do as well
WHITENED_SHARE = (
    0.02  # of their mean, in all directions: those of features of few rows curve least in the end; 0.01 to 0.1 do
)
MAX_WHITENED = 1024  # features, since the time grows with the cube of their number
ROWS_PER_FEATURE = 4  # at least so many rows a feature estimate the second moments


def scaling_for(X, weight, frequencies, alpha, dtype, *, has_bias, n_threads):
    """A Whitening if X is dense and has at most MAX_WHITENED features, else a Diagonal.

    Second moments of huge features may overflow: the solvers, which then find no way down, have the last word on these.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _scaling_for(X, weight, frequencies, alpha, dtype, has_bias, n_threads)


def _scaling_for(X, weight, frequencies, alpha, dtype, has_bias, n_threads):
    variances = frequencies * (1 - frequencies)
    if isinstance(X, np.ndarray) and X.shape[1] <= MAX_WHITENED:
        return Whitening(X, weight, WHITENED_SHARE * variances.mean(), alpha, has_bias)
    if isinstance(X, np.ndarray):
        moments = weight @ np.square(X, dtype=np.float64)
    else:
        squares = X.copy()
        squares.data = np.square(X.data, dtype=np.float64)
        moments = squares.T @ weight
    return Diagonal(moments, SHARE * variances, alpha, dtype, n_threads)


class Diagonal:
    """T multiplies each element by a number of its own. All is done in place and in blocks, since theta may be large."""

    def __init__(self, moments, variances, alpha, dtype, n_threads):
        n_features, n_classes = len(moments), len(variances)
        self.scale = np.empty((n_features + 1, n_classes), dtype)
        self.blocks = Blocks(n_features + 1, n_classes, n_threads)
        moments = np.append(moments, 1.0)
        least = (2 / float(np.finfo(dtype).max)) ** 2  # of a curvature whose scale fits into dtype

        def fill(rows):
            is_bias = np.arange(rows.start, rows.stop) == n_features
            curvature = np.outer(moments[rows], variances)
            curvature += np.where(is_bias, 0.0, alpha)[:, None]
            curvature[curvature == 0] = 1
            # a feature that no row has, under next to no penalty: its gradient is next to zero, and any scale does
            curvature[(moments[rows] == 0)[:, None] & (curvature < least)] = 1
            self.scale[rows] = 1 / np.sqrt(curvature)

        self.blocks.run(fill)

    def to_theta(self, u, out):
        """out <- T u."""
        self.blocks.run(lambda rows: np.multiply(u[rows], self.scale[rows], out=out[rows]))

    def to_u(self, gradient, out):
        """out <- the gradient with respect to u, from the one with respect to theta."""
        self.to_theta(gradient, out)


class Whitening:
    """T makes the features uncorrelated and, but for the penalty, of variance 1; a free bias is taken at their mean."""

    def __init__(self, X, weight, variance, alpha, has_bias):
        n_features = X.shape[1]
        step = max(1, X.shape[0] // (ROWS_PER_FEATURE * n_features))
        X, weight = X[::step], weight[::step].astype(X.dtype)
        total = weight.sum()
        weight = weight / total if total > 0 else np.full_like(weight, 1 / len(weight))
        self.mean = weight @ X if has_bias else np.zeros(n_features, X.dtype)
        centred = X - self.mean
        curvature = variance * ((centred.T * weight) @ centred)
        diagonal = np.einsum("jj->j", curvature)
        diagonal += alpha + 8 * np.finfo(X.dtype).eps * n_features * diagonal.max()
        diagonal[diagonal == 0] = 1
        root, _ = lapack.dpotrf(curvature.astype(np.float64), lower=True)
        inverse, _ = lapack.dtrtri(root, lower=True)
        self.transform = np.ascontiguousarray(np.tril(inverse).T, X.dtype)
        self.bias_scale = X.dtype.type(1 / np.sqrt(variance))

    def to_theta(self, u, out):
        """out <- T u."""
        np.matmul(self.transform, u[:-1], out=out[:-1])
        np.multiply(u[-1], self.bias_scale, out=out[-1])
        out[-1] -= self.mean @ out[:-1]

    def to_u(self, gradient, out):
        """out <- the gradient with respect to u, from the one with respect to theta."""
        out[:-1] = self.transform.T @ (gradient[:-1] - np.outer(self.mean, gradient[-1]))
        np.multiply(gradient[-1], self.bias_scale, out=out[-1])
