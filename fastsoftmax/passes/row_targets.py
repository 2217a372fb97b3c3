"""The targets of the rows of a batch, as all passes take them."""

from functools import cached_property

import numpy as np

from fastsoftmax.kernels.additions import Additions

NO_VALUES = np.empty(0, np.float32)


class RowTargets:
    """The classes that each row of a batch has: any number, none twice.

    Parameters
    ----------
    indptr : (n_rows + 1,) intp
        The targets of row i are the elements indptr[i] to indptr[i + 1] of the other arrays.
    class_ids : (n,) integers; numbers of candidates where not all classes take part
    mass : (n,) float64, how much each of them counts; None: 1
    """

    lacks_one = None  # mask of rows that should have had a target

    def __init__(self, indptr, class_ids, mass=None):
        self.indptr, self.class_ids = indptr, class_ids.astype(np.int32, copy=False)
        self.mass_is_one = mass is None
        if mass is not None:
            self.mass = mass

    @classmethod
    def of(cls, target, n_rows):
        """What `target` stands for: RowTargets, the class of each row with -1 for none, (n_rows,), or None."""
        if isinstance(target, cls):
            return target
        if target is None:
            return cls(np.zeros(n_rows + 1, np.intp), np.zeros(0, np.int32))
        has_one = target >= 0
        if has_one.all():
            return cls.one_each(target)
        targets = cls(np.concatenate([[0], np.cumsum(has_one)]).astype(np.intp), target[has_one])
        targets.lacks_one = ~has_one
        return targets

    @classmethod
    def one_each(cls, class_ids):
        """The class of each row, all of which have one."""
        targets = cls(np.arange(len(class_ids) + 1), class_ids)
        targets.is_one_each = True
        if class_ids.dtype == np.int64:
            targets.codes = class_ids
        return targets

    @cached_property
    def codes(self):
        """(n,) int64, `class_ids` as samplers take them."""
        return self.class_ids.astype(np.int64)

    @cached_property
    def mass(self):
        """How much each target counts."""
        return np.ones(len(self))

    def __len__(self):
        return len(self.class_ids)

    def __getitem__(self, rows):
        """The targets of a slice of rows."""
        own = slice(self.indptr[rows.start], self.indptr[rows.stop])
        mass = None if self.mass_is_one else self.mass[own]
        return RowTargets(self.indptr[rows.start : rows.stop + 1] - own.start, self.class_ids[own], mass)

    def replace(self, class_ids):
        """The same targets with other numbers for the classes."""
        other = RowTargets(self.indptr, class_ids, None if self.mass_is_one else self.mass)
        other.lacks_one = self.lacks_one
        other.is_one_each = self.is_one_each
        return other

    @property
    def n_rows(self):
        return len(self.indptr) - 1

    @cached_property
    def is_one_each(self):
        """Whether each row has one target, which saves sums over rows."""
        return len(self) == self.n_rows and bool((np.diff(self.indptr) == 1).all())

    @cached_property
    def rows(self):
        """The row of each target, as an index."""
        return slice(None) if self.is_one_each else np.repeat(np.arange(self.n_rows), np.diff(self.indptr))

    @cached_property
    def total(self):
        """(n_rows,) the mass of each row's targets."""
        return self.sums(self.mass)

    def sums(self, values):
        """(n_rows,) the sums over each row of `values`, one a target."""
        if self.is_one_each:
            return values
        sums = np.bincount(self.rows, weights=values, minlength=self.n_rows)
        return sums.astype(np.float64, copy=False)  # NumPy's are integers where there is nothing to add up

    def log_sum_exp(self, logits):
        """(log_sum_exp, others): over the logits of each row's targets, (n_rows,); and of all but each one itself, (n,)."""
        if self.is_one_each:
            return logits, np.full(len(logits), -np.inf)
        top = np.full(self.n_rows, -np.inf)
        np.maximum.at(top, self.rows, logits)
        top[np.isneginf(top)] = 0.0
        exponentials = np.exp(logits - top[self.rows])
        sums = self.sums(exponentials)
        with np.errstate(divide="ignore"):
            others = np.log(np.maximum(sums[self.rows] - exponentials, 0.0)) + top[self.rows]
            return np.log(sums) + top, np.where(np.diff(self.indptr)[self.rows] == 1, -np.inf, others)

    def additions(self):
        """The targets as Additions without values, for kernels.additions.group."""
        return Additions(self.indptr[:-1], self.indptr[1:], self.class_ids, NO_VALUES)
