"""The classes that a model has where others have the rest: a pass over them, and what completes it.

A pass over a range of classes gives each row a log-sum-exp over them (or a sum of binary losses) and the logits of those of
its targets that are among them. Losses need these of all classes. So each rank sends 8 bytes a row and 8 bytes a target, and
what it gets makes its pass the same as one over all classes; in the second pass it steps its own classes.
"""

import numpy as np

from fastsoftmax.passes.eligible import EMPTY
from fastsoftmax.passes.row_targets import RowTargets
from fastsoftmax.runtime.ranks import ONE


class Whole:
    """All classes: there is nothing to complete."""

    ranks = ONE

    def __reduce__(self):
        return "WHOLE"  # which copies and files of a model are to find again

    def n_classes(self, n_own):
        """The number of all classes, of which `n_own` are here."""
        return n_own

    def own(self, targets):
        """Those of the RowTargets that are classes of this shard."""
        return targets

    def own_codes(self, codes):
        """Class codes as this shard numbers them, -1 for the classes of others."""
        return codes

    def own_part(self, a):
        """The elements of `a`, one for each class, of the classes of this shard."""
        return a

    def own_candidates(self, targets, candidates):
        """(targets, class_ids, options): what tiles.Forward takes of those Candidates that are classes of this shard."""
        return targets.replace(candidates.target), candidates.class_ids, candidates.options()

    def eligible(self, eligible):
        """Eligible as this shard numbers the classes."""
        return eligible

    def reduce(self, loss, negatives, target_logit, targets):
        """(rest, Reduced): over all classes but the targets, and what `loss` makes of that.

        negatives : (n_rows,) log-sum-exps, or sums of binary losses, over the classes here
        target_logit : one for each of the `targets` here
        """
        return negatives, loss.reduce(negatives, target_logit, targets)

    def everyone(self, targets):
        """All targets, of which `targets` are here."""
        return targets

    def log_sum_exp(self, lse):
        """(n_rows,) the log-sum-exps over all classes, of those over the classes here."""
        return lse

    def add(self, a):
        """`a` added up over all shards, in place; `a` is C contiguous."""
        return a

    def depth(self, k):
        """How many of the k best classes may be here."""
        return k

    def best(self, class_ids, values, k):
        """The k best of all shards, with the codes of all classes, of the `depth(k)` best ones here: (n_rows, k) each."""
        return class_ids, values

    def own_columns(self, a):
        """The columns of a sparse matrix that are classes of this shard."""
        return a

    def fill(self, out, write):
        """Have function `write` fill the columns here of `out`, (n_rows, n_all_classes), and the other shards theirs."""
        write(out)


WHOLE = Whole()


class Shard(Whole):
    """A range of the classes; other ranks have the rest.

    Parameters
    ----------
    starts : (n_ranks + 1,) where the range of each rank begins
    ranks : runtime.ranks.Ranks
    """

    def __init__(self, starts, ranks):
        self.starts, self.ranks = starts, ranks
        self.begin, self.end = int(starts[ranks.rank]), int(starts[ranks.rank + 1])

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        raise TypeError(
            "a model whose classes are divided among ranks cannot be pickled: save it, and load the whole of it"
        )

    def n_classes(self, n_own):
        return int(self.starts[-1])

    def own(self, targets):
        ids = targets.class_ids
        at = np.flatnonzero((ids >= self.begin) & (ids < self.end))
        return OwnTargets(targets, at, ids[at] - np.int32(self.begin))

    def own_codes(self, codes):
        return np.where((codes >= self.begin) & (codes < self.end), codes - self.begin, -1)

    def own_part(self, a):
        return a[self.begin : self.end]

    def own_candidates(self, targets, candidates):
        low, high = np.searchsorted(candidates.class_ids, (self.begin, self.end))
        columns = candidates.target
        at = np.flatnonzero((columns >= low) & (columns < high))
        options = candidates.options()
        for name in ("offset", "weight"):
            options[name] = None if options[name] is None else options[name][low:high]
        options["target_shift"] = np.broadcast_to(options["target_shift"], len(columns))[at]
        own = OwnTargets(targets, at, columns[at] - np.int32(low))
        return own, candidates.class_ids[low:high] - self.begin, options

    def eligible(self, eligible):
        class_ids, indptr, excluded = eligible.class_ids, eligible.indptr, eligible.excluded
        if class_ids is not None:
            class_ids = class_ids[slice(*np.searchsorted(class_ids, (self.begin, self.end)))] - self.begin
        if indptr is not None:
            kept = (excluded >= self.begin) & (excluded < self.end)
            before = np.concatenate([[0], np.cumsum(kept)])
            indptr, excluded = before[indptr].astype(np.intp), excluded[kept] - self.begin
        return eligible._replace(class_ids=class_ids, indptr=indptr, excluded=excluded)

    def reduce(self, loss, negatives, target_logit, targets):
        everyone, n_rows = targets.everyone, len(negatives)
        sent = np.zeros(n_rows + len(everyone))
        sent[:n_rows], sent[n_rows + targets.at] = negatives, target_logit
        of_ranks = self.ranks.gather(sent)
        combine = np.add if loss.binary >= 0 else np.logaddexp
        rest = combine.reduce(of_ranks[:, :n_rows], axis=0)
        target_logit = of_ranks[:, n_rows:].sum(axis=0)  # only the owner of a class has sent more than a zero
        reduced = loss.reduce(rest, target_logit, everyone)
        return rest, reduced._replace(dlogit=reduced.dlogit[targets.at])

    def everyone(self, targets):
        return targets.everyone

    def log_sum_exp(self, lse):
        return np.logaddexp.reduce(self.ranks.gather(lse), axis=0)

    def add(self, a):
        self.ranks.add(a)
        return a

    def depth(self, k):
        return min(k, self.end - self.begin)

    def best(self, class_ids, values, k):
        missing = (0, 0), (0, k - class_ids.shape[1])
        class_ids = np.pad(class_ids, missing, constant_values=EMPTY)
        values = np.pad(values, missing, constant_values=-np.inf)
        class_ids = np.where(class_ids == EMPTY, EMPTY, class_ids + self.begin)
        ids, values = (np.concatenate(list(self.ranks.gather(a)), axis=1) for a in (class_ids, values))
        order = np.lexsort((ids, -values))[:, :k]  # of equal ones, the smaller id comes first
        return tuple(np.ascontiguousarray(np.take_along_axis(a, order, axis=1)) for a in (ids, values))

    def own_columns(self, a):
        return a[:, self.begin : self.end]

    def fill(self, out, write):
        own, padded = self.end - self.begin, np.empty(int(np.diff(self.starts).max()) * len(out), out.dtype)
        write(padded[: own * len(out)].reshape(len(out), own))
        of_ranks = self.ranks.gather(padded)
        for part, begin, end in zip(of_ranks, self.starts, self.starts[1:], strict=False):
            out[:, begin:end] = part[: (end - begin) * len(out)].reshape(len(out), end - begin)


class OwnTargets(RowTargets):
    """Those of the targets of a batch that are classes of a shard.

    everyone : RowTargets, all targets
    at : positions of these among them, ascending
    class_ids : numbers of their classes in the shard
    """

    def __init__(self, everyone, at, class_ids):
        mass = None if everyone.mass_is_one else everyone.mass[at]
        super().__init__(np.searchsorted(at, everyone.indptr).astype(np.intp), class_ids, mass)
        self.everyone, self.at = everyone, at

    @property
    def total(self):
        return self.everyone.total
