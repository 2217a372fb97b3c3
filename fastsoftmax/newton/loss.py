"""The loss of softmax regression over all rows, its gradient and Hessian products, computed chunk by chunk of the rows.

The parameters are one array theta (n_features + 1, n_classes): W transposed, and the bias as the last row.
"""

import numpy as np

from fastsoftmax.kernels import softmax as softmax_kernel
from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.passes import tiles
from fastsoftmax.runtime import workspaces
from fastsoftmax.runtime.blocks import Blocks, dot, each

CHUNK_WORK = 1 << 22  # multiply-adds that are worth a thread
CHUNK_VALUES = 1 << 20  # elements of X and of logits in a chunk of dense rows, at most
SPARSE_ROWS = 8192  # in a chunk of CSR rows, each of which goes through W once
FEW_CLASSES = 64  # fewer make no more than a tile or two, and tiles are what threads share


class DenseProducts:
    """Products with chunks of a dense X. BLAS has one thread, and several chunks are computed at once."""

    def __init__(self, X, n_classes, n_threads):
        self.X = X
        n_rows, n_features = X.shape
        most = max(1, CHUNK_VALUES // (n_features + n_classes))
        step = min(most, max(-(-n_rows // 8), CHUNK_WORK // (n_features * n_classes), 1))
        self.chunks = [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
        self.n_workers, self.n_threads = n_threads, 1

    def logits(self, i, theta, out):
        np.matmul(self.X[self.chunks[i]], theta[:-1], out=out)
        out += theta[-1]

    def add_gradient(self, i, dlogits, gradient):
        """gradient (as theta) += X^T dlogits."""
        gradient[:-1] += self.X[self.chunks[i]].T @ dlogits
        gradient[-1] += dlogits.sum(axis=0)


class SparseProducts:
    """Products with chunks of CSR rows: one chunk after the other on all threads, which share the classes; or, if these are
    few, several chunks at once, each on one thread."""

    def __init__(self, X, n_classes, n_threads):
        n_rows, step = X.shape[0], SPARSE_ROWS
        if n_classes < FEW_CLASSES:
            step = min(step, max(-(-n_rows // 8), CHUNK_WORK * n_rows // (max(1, X.nnz) * n_classes), 1))
        self.chunks = [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
        self.n_workers, self.n_threads = (n_threads, 1) if n_classes < FEW_CLASSES else (1, n_threads)
        reader = RowReader(X.shape[1])
        self.batches = [
            reader.take(X.indptr, X.indices, X.data, np.arange(rows.start, rows.stop)) for rows in self.chunks
        ]

    def astype(self, dtype):
        """The same products with X in another dtype."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.batches = [
            batch._replace(data=batch.data.astype(dtype), col_data=batch.col_data.astype(dtype))
            for batch in self.batches
        ]
        return other

    def _terms(self, i, theta):
        rows = self.chunks[i]
        return tiles.Terms(
            rows.stop - rows.start, theta.shape[1], batch=self.batches[i], W=theta[:-1].T, bias=theta[-1]
        )

    def logits(self, i, theta, out):
        with workspaces.workspace() as workspace:
            tiles.write_logits(self._terms(i, theta), out, self.n_threads, workspace)

    def add_gradient(self, i, dlogits, gradient):
        with workspaces.workspace() as workspace:
            tiles.add_gradient(self._terms(i, gradient), dlogits, gradient[:-1].T, self.n_threads, workspace)
        gradient[-1] += dlogits.sum(axis=0)


class RegressionLoss:
    """sum_i weight[i] nll_i + alpha / 2 ||W||^2 as a function of theta.

    Parameters
    ----------
    products : DenseProducts or SparseProducts of X
    target : (n_rows,) int64 class codes
    weight : (n_rows,) of sum 1
    alpha : float
    shape : the shape of theta
    has_bias : whether the last row of theta is free; otherwise it stays zero
    keep : whether to keep the gradient of the logits, (n_rows, n_classes), which `hessian_product` needs
    product_dtype : the dtype of `hessian_product`, which may be the smaller one
    """

    def __init__(self, products, target, weight, alpha, shape, dtype, *, has_bias, keep, product_dtype=None):
        self.products, self.target, self.weight, self.alpha, self.has_bias = products, target, weight, alpha, has_bias
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.product_dtype = np.dtype(product_dtype or dtype)
        self.products_of_hessian = products
        if self.product_dtype != self.dtype:
            self.products_of_hessian = products.astype(self.product_dtype)
        self.kept = [None] * len(products.chunks) if keep else None
        # without the bias, which has no penalty
        self.blocks = Blocks(shape[0] - 1, shape[1], max(products.n_workers, products.n_threads))
        self.is_uniform = bool((weight == weight[0]).all())

    def value_and_gradient(self, theta, gradient):
        """The loss at theta; `gradient`, of the shape of theta, is filled with its gradient."""
        loss = self._sum_of_chunks(self._chunk_loss, theta, gradient)
        self._add_penalty(theta, gradient)
        return float(loss) + self.alpha / 2 * self.blocks.sum(lambda rows: dot(theta[rows], theta[rows]))

    def hessian_product(self, v, out):
        """out <- H v with the Hessian H at the theta of the last gradient. Both are like theta, but of product_dtype."""
        self._sum_of_chunks(self._chunk_product, v, out)
        self._add_penalty(v, out)

    def _add_penalty(self, theta, gradient):
        """gradient += alpha W, block by block, since arrays of the size of theta are large."""
        alpha = theta.dtype.type(self.alpha)
        self.blocks.run(lambda rows: np.add(gradient[rows], alpha * theta[rows], out=gradient[rows]))

    def _sum_of_chunks(self, one, theta, out):
        """out <- the sum over all chunks of what `one` adds to its last argument. Returns the sum of what it returns."""
        out.fill(0)
        numbers = range(len(self.products.chunks))
        if self.products.n_workers == 1 or len(numbers) == 1:
            total = sum(one(i, theta, out) for i in numbers)
        else:

            def one_apart(i):
                addend = np.zeros_like(out)
                return one(i, theta, addend), addend

            total = 0.0
            for value, addend in each(one_apart, numbers, self.products.n_workers):
                total += value
                out += addend
        if not self.has_bias:
            out[-1] = 0
        return total

    def _chunk_loss(self, i, theta, gradient):
        rows = self.products.chunks[i]
        logits = np.empty((rows.stop - rows.start, self.shape[1]), self.dtype)
        self.products.logits(i, theta, logits)
        losses, weight = np.empty(len(logits)), self.weight[rows]
        scale = weight[0] if self.is_uniform else 1.0
        softmax_kernel.cross_entropy(
            logits[:, :, None], self.target[rows], None, 1.0, None, None, scale, losses, logits[:, :, None],
            self.products.n_threads,
        )  # fmt: skip
        if not self.is_uniform:
            logits *= weight[:, None].astype(self.dtype)
        self.products.add_gradient(i, logits, gradient)
        if self.kept is not None:
            self.kept[i] = logits.astype(self.product_dtype, copy=False)
        return weight @ losses

    def _chunk_product(self, i, v, out):
        """Add sum_i s_i (p_i * (r_i - p_i . r_i)) x_i^T with r = x v, from the kept dlogits s (p - onehot)."""
        rows = self.products.chunks[i]
        r = np.empty((rows.stop - rows.start, self.shape[1]), self.product_dtype)
        self.products_of_hessian.logits(i, v, r)
        at, weight = (np.arange(len(r)), self.target[rows]), self.weight[rows].astype(self.product_dtype)
        probabilities = self.kept[i]  # times weight, once the target's are restored
        gradient_at_target = probabilities[at]
        probabilities[at] += weight
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(weight > 0, np.einsum("ik,ik->i", probabilities, r) / weight, 0)
        r -= means[:, None]
        r *= probabilities
        probabilities[at] = gradient_at_target
        self.products_of_hessian.add_gradient(i, r, out)
        return 0
