"""The targets of rows: one class each, or masses of several classes.

Training on masses takes all classes of a row at each visit, or draws one by its masses. Whatever the loss and the terms of the
model, the expectation of the drawn loss is the mean of the losses of the row's classes, weighted by mass. Where the result is
not a training step (calibration, validation, `target_log_proba`), the mean is computed exactly.
"""

from functools import cached_property

import numpy as np
from scipy import sparse

from fastsoftmax.passes import true_classes
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.runtime import row_subset
from fastsoftmax.validation import (
    LabelLists,
    balanced_weights,
    check_classes,
    check_columns,
    check_some_weight,
    class_weights,
    encode_labels,
    learn_classes,
    of_mean_one,
    ratios,
)

CHUNK_ROWS = 1024


class HardTargets:
    """One class for each row: `codes`, (n_rows,) int64. `take` draws nothing."""

    def __init__(self, codes):
        self.codes = codes

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, rows):
        return HardTargets(self.codes[rows])

    per_row = 1.0  # average number of classes of a row
    several_labels = False  # whether rows have several classes that all count alike

    def take(self, rows, rng):
        """The class of each of these rows, (n,) int64."""
        return self.codes[rows]

    def of_batch(self, rows, labels, rng):
        """The RowTargets of these rows; `labels` and `rng` are of use where rows have several classes."""
        return RowTargets.one_each(self.codes[rows])

    def pairs(self, weight):
        """The classes of all rows in one array, and how much each counts where the rows have these weights."""
        return self.codes, weight

    def counts(self, n_classes, weight=None):
        """The number of rows of each class, or the sum of its masses, (n_classes,); by weight where rows have weights."""
        return np.bincount(self.codes, weights=weight, minlength=n_classes)

    def batch_counts(self, n_classes, labels):
        """How often each class is a target of a batch; `labels` as for `of_batch`."""
        return self.counts(n_classes)

    def known_counts(self, n_classes, labels):
        """`batch_counts`, at least one for each class, where every class has rows but these may be held out."""
        return np.maximum(self.counts(n_classes), 1)

    def weighted(self, class_weight):
        """The targets and a factor for the weight of each row, where the classes have weights (n_classes,)."""
        return self, class_weight[self.codes]

    def support(self):
        """The classes in the form that `fastsoftmax.support` takes."""
        return self.codes

    def own_support(self, shard, n_classes):
        """(rows, classes): the same for classes of a shard, and the rows that have any; None: all rows."""
        codes = shard.own_codes(self.codes)
        rows = np.flatnonzero(codes >= 0)
        return (None, codes) if len(rows) == len(codes) else (rows, codes[rows])

    def lists(self):
        """(indptr, class_ids): the classes of row i are class_ids[indptr[i] : indptr[i + 1]], int64, ascending."""
        return np.arange(len(self) + 1), self.codes

    def indicator(self, n_classes):
        """Which classes the rows have, (n_rows, n_classes) CSR of ones."""
        indptr, class_ids = self.lists()
        return sparse.csr_array((np.ones(len(class_ids), np.int8), class_ids, indptr), shape=(len(self), n_classes))

    def excess(self, runner):
        """The mean logit of each row's targets less the logit of its class in `codes`.

        The result is a dict of (n_rows,) float64 arrays, one for each term of the runner's model, and for `prior`.
        """
        return {}

    def nll(self, runner, show=None):
        """The mean negative log-probability of each row's targets, (n_rows,); `show` as for Runner.nll."""
        return runner.nll(self.codes, show)

    def log_proba(self, runner):
        """Minus `nll`, and -inf where a target is not among the classes of the runner's model."""
        return np.where(self.codes < 0, -np.inf, -self.nll(runner))

    def hits(self, predicted):
        """The mass of each row's predicted class over the largest mass of the row, (n_rows,): 1 for its only target."""
        return (predicted == self.codes).astype(np.float64)


class SoftTargets:
    """Masses of classes for each row: `masses`, (n_rows, n_classes) canonical CSR, are positive, and each row adds up to 1."""

    def __init__(self, masses):
        self.masses = masses
        self._cumulative = np.cumsum(masses.data)
        self.codes = masses.indices[masses.indptr[:-1]].astype(np.int64)  # the first class of each row

    def __len__(self):
        return self.masses.shape[0]

    @property
    def per_row(self):
        return self.masses.nnz / len(self)

    @cached_property
    def several_labels(self):
        lengths = np.diff(self.masses.indptr)
        return bool((lengths > 1).any()) and np.allclose(
            self.masses.data, np.repeat(1 / np.maximum(lengths, 1), lengths)
        )

    def __getitem__(self, rows):
        return SoftTargets(self.masses[rows])

    def of_batch(self, rows, labels, rng):
        """The RowTargets of these rows.

        labels : one of losses.LABELS. "one": a class of each row, drawn by mass; "mean": all, by mass; "sum": all, by mass
            times the number of the row's classes
        """
        if labels == "one":
            return RowTargets.one_each(self.take(rows, rng))
        masses = self.masses[rows]
        lengths = np.diff(masses.indptr)
        mass = masses.data * np.repeat(lengths, lengths) if labels == "sum" else masses.data
        return RowTargets(masses.indptr.astype(np.intp), masses.indices, mass.astype(np.float64))

    def take(self, rows, rng):
        """A class for each of these rows, (n,) int64, drawn by its masses."""
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

    def counts(self, n_classes, weight=None):
        masses = self.masses.data if weight is None else self.masses.data * weight[self._rows()]
        return np.bincount(self.masses.indices, weights=masses, minlength=n_classes)

    def batch_counts(self, n_classes, labels):
        if labels == "one":
            return self.counts(n_classes)
        return np.bincount(self.masses.indices, minlength=n_classes).astype(np.float64)

    known_counts = batch_counts  # a class may have no mass at all

    def weighted(self, class_weight):
        masses = self.masses.copy()
        masses.data *= ratios(class_weight)[masses.indices]
        totals = np.asarray(masses.sum(axis=1)).reshape(-1)
        kept = totals > 0  # the others' masses do not matter: their weight is 0
        masses.data = np.where(
            kept[self._rows()], masses.data / np.where(kept, totals, 1.0)[self._rows()], self.masses.data
        )
        masses.eliminate_zeros()
        return SoftTargets(masses), totals

    def support(self):
        return self.masses

    def own_support(self, shard, n_classes):
        return None, shard.own_columns(self.masses)

    def lists(self):
        return self.masses.indptr.astype(np.intp), self.masses.indices.astype(np.int64)

    indicator = HardTargets.indicator

    def excess(self, runner):
        model, out = runner.model, {}
        first = sparse.csr_array((np.ones(len(self)), self.codes, np.arange(len(self) + 1)), shape=self.masses.shape)
        more = model.shard.own_columns(sparse.csr_array(self.masses - first))
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
        return {name: model.shard.add(a) for name, a in out.items()}

    def nll(self, runner, show=None):
        excess = self.excess(runner)
        return runner.nll(self.codes, show) - sum(a for name, a in excess.items() if name != "prior")

    def log_proba(self, runner):
        masses, n_classes = self.masses, runner.model.n_all_classes
        if masses.shape[1] == n_classes:
            return -self.nll(runner)
        indices = np.where(masses.indices < n_classes, masses.indices, 0)  # any class: these rows are overwritten
        known = sparse.csr_array((masses.data, indices, masses.indptr), shape=(len(self), n_classes), copy=True)
        known.sum_duplicates()
        is_unknown = np.maximum.reduceat(masses.indices, masses.indptr[:-1]) >= n_classes
        return np.where(is_unknown, -np.inf, -SoftTargets(known).nll(runner))

    def hits(self, predicted):
        found = np.asarray(self.masses[np.arange(len(self)), predicted]).reshape(-1)
        return found / np.maximum.reduceat(self.masses.data, self.masses.indptr[:-1])


def _row_dots(D, W, X):
    """The sums over k of D[i, k] W[k] . X[i], (n_rows,) float64, for a CSR D."""
    if sparse.issparse(W):
        return np.asarray((D @ W).multiply(sparse.csr_array(X)).sum(axis=1)).reshape(-1)
    pair_rows = np.repeat(np.arange(D.shape[0]), np.diff(D.indptr))
    logits = true_classes.logits_of_classes(X, W, pair_rows, D.indices.astype(np.int64))
    return np.bincount(pair_rows, weights=D.data * logits, minlength=D.shape[0])


def learn(y):
    """The classes of checked labels, lists of labels or masses, and their targets."""
    if sparse.issparse(y):
        return np.arange(y.shape[1]), SoftTargets(y)
    if isinstance(y, LabelLists):
        classes, indicator = y.learn()
        check_classes(classes)
        return classes, _of_indicator(indicator)
    classes, codes = learn_classes(y)
    check_classes(classes)
    return classes, HardTargets(codes)


def encode(y, classes, counted=None, *, unknown=None, name="y"):
    """The targets of checked labels, lists of labels or masses.

    Labels that are not in `classes` raise if `unknown` is None. Else they get the code `unknown`, or columns beyond those of
    the classes where rows have several labels.

    counted : which rows count, as `check_rows` returns it
    """
    if sparse.issparse(y):
        check_columns(y, classes)
        return SoftTargets(y)
    rows = None if counted is None else np.flatnonzero(counted)
    if isinstance(y, LabelLists):
        return _of_indicator(y.encode(classes, unknown=unknown, name=name, rows=rows), len(classes), unknown)
    return HardTargets(encode_labels(y, classes, unknown=unknown, name=name, rows=rows))


def _of_indicator(indicator, n_classes=None, unknown=None):
    """The targets of rows that have the labels of an indicator, one at least: all of a row count alike."""
    n_labels = np.diff(indicator.indptr)
    if (n_labels == 1).all():
        codes = indicator.indices.astype(np.int64)
        return HardTargets(codes if unknown is None else np.where(codes < n_classes, codes, unknown))
    indicator.data /= np.repeat(n_labels, n_labels)
    return SoftTargets(indicator)


def validation(rows, classes, class_weight):
    """The rows that `check_validation` returned as (X, target, weight), or None where there are none.

    class_weight : (n_classes,) weights of the classes in training, or None
    """
    if rows is None:
        return None
    X, y, counted, weight = rows
    target = encode(y, classes, counted, name="y_val")
    if class_weight is not None:
        target, factor = target.weighted(class_weight)
        weight = ratios(weight, factor)
        check_some_weight("sample_weight_val with class_weight", weight)
    return that_count(X, target, weight)


def that_count(X, target, weight):
    """Those of these rows whose weight is not zero."""
    rows = np.flatnonzero(weight)
    if len(rows) == len(weight):
        return X, target, weight
    return X[rows], target[rows], weight[rows]


def weigh(class_weight, target, weight, classes):
    """The targets and weights of rows where the classes have weights too.

    Parameters
    ----------
    class_weight : None, "balanced", or dict of weights by label
    target : HardTargets or SoftTargets
    weight : (n_rows,) float64, of which only the ratios matter
    classes : (n_classes,) array

    Returns
    -------
    target : HardTargets or SoftTargets
    weight : (n_rows,) float64, whose mean over the rows that have any is 1; all may be zero
    weights : (n_classes,) weights of the classes, or None
    """
    if class_weight is None:
        return target, of_mean_one(weight), None
    if isinstance(class_weight, str):
        weights = balanced_weights(*target.pairs(weight), len(classes))
    else:
        weights = class_weights(class_weight, classes)
    target, factor = target.weighted(weights)
    return target, of_mean_one(weight, factor), weights
