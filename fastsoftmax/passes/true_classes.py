"""Several true classes a row in losses by candidate sampling.

The passes over the candidates see rows without a target, in which the true classes are masked. The logits of the true classes
are few: these, and what follows from them, are computed here.
"""

import numpy as np
from scipy import sparse

from fastsoftmax.kernels.additions import Additions
from fastsoftmax.passes import tiles

CHUNK_ELEMENTS = 1 << 21  # products of an x and a weight that are in memory at a time


class Several:
    """Rows with several true classes.

    Parameters
    ----------
    inputs : passes.dense_input.LinearInput
    masses : (n_rows, n_classes) CSR, canonical, in which each row adds up to 1
    shift : (nnz,) what is added to the logits of the true classes
    candidates : passes.candidates.Candidates, whose targets are the indices of `masses`
    """

    def __init__(self, inputs, masses, shift, candidates):
        self.inputs, self.masses, self.shift, self.candidates = inputs, masses, shift, candidates

    def forward(self, rows, **options):
        return _SeveralForward(self, rows, options)


class _SeveralForward:
    """The same for these rows as tiles.Forward for rows with one target: losses `nll`, and `backward`."""

    def __init__(self, several, rows, options):
        c, indptr = several.candidates, several.masses.indptr
        self.inputs, self.rows, self.candidates = several.inputs, rows, c
        pairs = slice(indptr[rows.start], indptr[rows.stop])
        self.indptr = (indptr[rows.start : rows.stop + 1] - indptr[rows.start]).astype(np.intp)
        self.row = np.repeat(np.arange(rows.stop - rows.start), np.diff(self.indptr))
        self.column, self.mass = c.target[pairs], several.masses.data[pairs]
        logit = _logits(self.inputs, rows.start + self.row, several.masses.indices[pairs]) + several.shift[pairs]
        terms = self.inputs.terms(rows, c.class_ids)
        if not c.keeps_hits:
            masked = np.full(len(logit), -np.inf, terms.dtype)
            additions = Additions(self.indptr[:-1], self.indptr[1:], self.column.astype(np.int32), masked)
            terms = terms._replace(additions=additions)
        self.negatives = tiles.Forward(terms, offset=c.offset, weight=c.weight, **options)
        if c.weight is None:
            self._softmax(logit)
        else:
            self.lse = None
            self.nll = self.negatives.rest + self._sums(self.mass * np.logaddexp(0.0, -logit))
            self.dlogit = -self.mass * np.exp(-np.logaddexp(0.0, logit))

    def _softmax(self, logit):
        with np.errstate(invalid="ignore", over="ignore"):
            top = np.maximum.reduceat(logit, self.indptr[:-1]) if len(logit) else logit
            true = top + np.log(self._sums(np.exp(logit - top[self.row])))
            self.lse = np.logaddexp(self.negatives.rest, true)
            self.nll = self._sums(self.mass * (self.lse[self.row] - logit))
            self.dlogit = np.exp(logit - self.lse[self.row]) - self.mass

    def _sums(self, values):
        """The sums of `values`, one a true class, over each row; no row is empty."""
        return np.bincount(self.row, weights=values, minlength=len(self.indptr) - 1)

    def backward(self, scale, destination, *, dhidden=None):
        """Gradients of sum_i scale[i] nll[i], as tiles.Forward.backward has them; the destination is arrays by position."""
        self.negatives.backward(scale, destination, dhidden=dhidden, lse=self.lse)
        inputs, shape = self.inputs, (len(self.indptr) - 1, len(self.candidates.class_ids))
        dlogit = (scale[self.row] * self.dlogit).astype(inputs.W.dtype)
        D = sparse.csr_array((dlogit, self.column, self.indptr), shape=shape)
        if inputs.is_sparse:
            dW = (D.T @ sparse.csr_array(inputs.X[self.rows])).tocoo()  # has no element twice
            destination.W[dW.coords] += dW.data
        else:
            destination.V[...] += D.T @ inputs.X[self.rows]
            used, column = np.unique(self.column, return_inverse=True)
            D = sparse.csr_array((dlogit, column, self.indptr), shape=(shape[0], len(used)))
            dhidden += D @ inputs.W[self.candidates.class_ids[used]]
        if destination.bias is not None:
            destination.bias[...] += np.bincount(self.column, weights=dlogit, minlength=shape[1])


def _logits(inputs, rows, class_ids):
    logits = logits_of_classes(inputs.X, inputs.W, rows, class_ids)
    return logits if inputs.bias is None else logits + inputs.bias[class_ids]


def logits_of_classes(X, W, rows, class_ids):
    """x_i . w_k of each row i and class k of two arrays, float64; X is CSR rows or dense, W dense."""
    is_sparse = sparse.issparse(X)
    dots = _sparse_dots if is_sparse else _dense_dots
    per_pair = X.nnz // max(1, X.shape[0]) + 1 if is_sparse else X.shape[1] + 1
    step = max(1, CHUNK_ELEMENTS // per_pair)
    chunks = [slice(start, start + step) for start in range(0, len(rows), step)]
    return np.concatenate([np.zeros(0), *(dots(X, W, rows[at], class_ids[at]) for at in chunks)])


def _dense_dots(X, W, rows, class_ids):
    return np.einsum("ij,ij->i", X[rows], W[class_ids], dtype=np.float64)


def _sparse_dots(X, W, rows, class_ids):
    begin = X.indptr[rows]
    lengths = X.indptr[rows + 1] - begin
    pair = np.repeat(np.arange(len(rows)), lengths)
    entry = np.arange(len(pair)) + np.repeat(begin - (np.cumsum(lengths) - lengths), lengths)
    products = X.data[entry].astype(np.float64) * W[class_ids[pair], X.indices[entry]]
    return np.bincount(pair, weights=products, minlength=len(rows))
