"""What rows are to be classified as: one class each, or masses of several.

Training on masses draws one class at each visit of a row, by its masses. The expectation of that loss is the mean of the
losses of the row's classes by mass, whatever the loss and the terms of the model, and a row costs what it would with one
class. Where nothing is learned (calibration, validation, `target_log_proba`), the mean is computed as it is.
"""

import numpy as np
from scipy import sparse

from fastsoftmax.passes import true_classes
from fastsoftmax.runtime import row_subset
from fastsoftmax.validation import (
    balanced_weights,
    check_classes,
    check_columns,
    check_sample_weight,
    class_weights,
    encode_labels,
    learn_classes,
)

CHUNK_ROWS = 1024


class HardTargets:
    """One class a row: `codes`, (n_rows,) int64. `take` uses no randomness."""

    def __init__(self, codes):
        self.codes = codes

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, rows):
        return HardTargets(self.codes[rows])

    per_row = 1.0  # classes, on the average

    def take(self, rows, rng):
        """A class for each of these rows."""
        return self.codes[rows]

    def pairs(self, weight):
        """Classes, and how much each counts, where the rows have these weights."""
        return self.codes, weight

    def counts(self, n_classes):
        """(n_classes,) how many rows each class has."""
        return np.bincount(self.codes, minlength=n_classes)

    def known_counts(self, n_classes):
        """`counts` where each class has rows, held out or not."""
        return np.maximum(self.counts(n_classes), 1)

    def weighted(self, class_weight):
        """These targets, and the weight of each row, where classes have the given ones."""
        return self, class_weight[self.codes]

    def support(self):
        """As `fastsoftmax.support` takes them."""
        return self.codes

    def excess(self, runner):
        """By term of the runner's model (and `prior`): what the mean logit of a row's targets is above that of `codes`."""
        return {}

    def nll(self, runner):
        """(n_rows,) the mean negative log-probability of each row's targets."""
        return runner.nll(self.codes)

    def hits(self, predicted):
        """(n_rows,) 1 where the predicted class is the target, or as likely as any is, less where it is less likely."""
        return (predicted == self.codes).astype(np.float64)


class SoftTargets:
    """Masses of classes for each row: `masses`, (n_rows, n_classes) canonical CSR, all above 0, each row of sum 1."""

    def __init__(self, masses):
        self.masses = masses
        self._cumulative = np.cumsum(masses.data)
        self.codes = masses.indices[masses.indptr[:-1]].astype(np.int64)  # the first of each row

    def __len__(self):
        return self.masses.shape[0]

    @property
    def per_row(self):
        return self.masses.nnz / len(self)

    def __getitem__(self, rows):
        return SoftTargets(self.masses[rows])

    def take(self, rows, rng):
        """A class for each of these rows, drawn by its masses."""
        begin, end = self.masses.indptr[rows], self.masses.indptr[rows + 1]
        before = np.where(begin > 0, self._cumulative[begin - 1], 0.0)
        at = np.searchsorted(
            self._cumulative, before + rng.random(len(rows)) * (self._cumulative[end - 1] - before), "right"
        )
        return self.masses.indices[np.clip(at, begin, end - 1)].astype(np.int64)

    def _rows(self):
        """The row of each mass."""
        return np.repeat(np.arange(len(self)), np.diff(self.masses.indptr))

    def pairs(self, weight):
        return self.masses.indices.astype(np.int64), self.masses.data * weight[self._rows()]

    def counts(self, n_classes):
        return np.bincount(self.masses.indices, weights=self.masses.data, minlength=n_classes)

    known_counts = counts  # a column may have no mass at all

    def weighted(self, class_weight):
        masses = self.masses.copy()
        masses.data *= class_weight[masses.indices]
        totals = np.asarray(masses.sum(axis=1)).reshape(-1)
        kept = totals > 0  # the others' masses do not matter: their weight is 0
        masses.data = np.where(
            kept[self._rows()], masses.data / np.where(kept, totals, 1.0)[self._rows()], self.masses.data
        )
        masses.eliminate_zeros()
        return SoftTargets(masses), totals

    def support(self):
        return self.masses

    def excess(self, runner):
        model, out = runner.model, {}
        first = sparse.csr_array((np.ones(len(self)), self.codes, np.arange(len(self) + 1)), shape=self.masses.shape)
        more = sparse.csr_array(self.masses - first)
        for name in ("bias", "prior"):
            if getattr(model, name) is not None:
                out[name] = more @ getattr(model, name).astype(np.float64)
        for name in ("W", "V"):
            if getattr(model, name) is not None:
                out[name] = np.empty(len(self))
        W = model.sparse_matrix().tocsr() if model.pairs is not None else model.W
        for start in range(0, len(self), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(self)))
            if model.W is not None:
                out["W"][rows] = _row_dots(more[rows], W, row_subset.take(runner.X, rows))
            if model.V is not None:
                out["V"][rows] = _row_dots(more[rows], model.V, runner.hidden(rows))
        return out

    def nll(self, runner):
        excess = self.excess(runner)
        return runner.nll(self.codes) - sum(a for name, a in excess.items() if name != "prior")

    def hits(self, predicted):
        found = np.asarray(self.masses[np.arange(len(self)), predicted]).reshape(-1)
        return found / np.maximum.reduceat(self.masses.data, self.masses.indptr[:-1])


def _row_dots(D, W, X):
    """sum over k of D[i, k] W[k] . X[i], (n_rows,) float64, for CSR D."""
    if sparse.issparse(W):
        return np.asarray((D @ W).multiply(sparse.csr_array(X)).sum(axis=1)).reshape(-1)
    pair_rows = np.repeat(np.arange(D.shape[0]), np.diff(D.indptr))
    logits = true_classes.logits_of_classes(X, W, pair_rows, D.indices.astype(np.int64))
    return np.bincount(pair_rows, weights=D.data * logits, minlength=D.shape[0])


def learn(y):
    """The classes of checked labels or masses, and the targets."""
    if sparse.issparse(y):
        return np.arange(y.shape[1]), SoftTargets(y)
    classes, codes = learn_classes(y)
    check_classes(classes)
    return classes, HardTargets(codes)


def encode(y, classes, counted=None, *, unknown=None, name="y"):
    """Targets from checked labels or masses, all among `classes`, or else `unknown`; `counted` : as of `check_rows`."""
    if sparse.issparse(y):
        check_columns(y, classes)
        return SoftTargets(y)
    return HardTargets(encode_labels(y, classes, unknown=unknown, name=name, counted=counted))


def validation(rows, classes, class_weight):
    """Rows of `check_validation`, or None, as (X, target, weight), where classes have the weights of training, or None."""
    if rows is None:
        return None
    X, y, counted, weight = rows
    target = encode(y, classes, counted, name="y_val")
    if class_weight is not None:
        target, factor = target.weighted(class_weight)
        weight = check_sample_weight(weight * factor, len(target), name="sample_weight_val with class_weight")
    return X, target, weight


def weigh(class_weight, target, weight, classes):
    """Targets and weights of rows, of mean 1, where classes have weights too: None, "balanced", or a dict.

    Returns
    -------
    target, weight
    weights : (n_classes,) of the classes; None where there are none
    """
    if class_weight is None:
        return target, weight, None
    if isinstance(class_weight, str):
        weights = balanced_weights(*target.pairs(weight), len(classes))
    else:
        weights = class_weights(class_weight, classes)
    target, factor = target.weighted(weights)
    return target, check_sample_weight(weight * factor, len(target), name="sample_weight with class_weight"), weights
