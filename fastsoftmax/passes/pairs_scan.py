"""Log-sum-exps and the best classes of CSR rows by the pairs of a sparse term, around the kernel of src/pairs/pairs_scan.pyx.

This is prediction: unlike a `PairsForward`, it keeps nothing of a row but these results, and numbers no batch.
"""

from typing import NamedTuple

import numpy as np

from fastsoftmax.kernels import pairs_scan
from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.passes.eligible import ALL
from fastsoftmax.passes.pairs import PAIR_WORK, PairsForward
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import threads
from fastsoftmax.validation import check_lse


class Sizes(NamedTuple):
    """What rows need room for."""

    most_entries: int  # of a row
    most_pairs: int  # of a row's features and their classes
    n_pairs: int  # of all rows


def measure(rows, weights):
    """The Sizes of CsrRows."""
    return Sizes(*pairs_scan.measure(rows.indptr, rows.indices, weights.indptr))


def log_sum_exps(rows, weights, base, n_threads, workspace):
    """The log-sum-exp of each of the CsrRows, (n_rows,) float64."""
    return _scan(rows, weights, base, 0, n_threads, workspace, ALL)[2]


def topk(rows, weights, base, k, n_threads, workspace, eligible=ALL, *, normalise=True, sizes=None, shard=WHOLE):
    """The k best class ids of each row and their log-probabilities, (n_rows, k) each, best first.

    They are padded where fewer than k classes are `eligible`. Without `normalise`, logits take the place of
    log-probabilities. It raises ValueError where a row's logits hold NaN.

    sizes : what `measure` says of the rows, if that is known
    shard : shard.Shard of these classes; `eligible` and the results number all classes
    """
    eligible = shard.eligible(eligible)
    class_ids, values, lse = _scan(rows, weights, base, shard.depth(k), n_threads, workspace, eligible, sizes)
    lse = shard.log_sum_exp(lse)
    check_lse(lse)
    class_ids, values = shard.best(class_ids, values, k)
    if normalise:
        values = (values - lse[:, None]).astype(values.dtype)
    return eligible.pad(class_ids, values)


def additions(rows, weights, dtype, workspace):
    """What the pairs add to the logits of a few rows: (begin, n, class_ids, logits), the last two with room to spare.

    Those of row i are at begin[i] to begin[i] + n[i].
    """
    most_entries, most_pairs, _ = measure(rows, weights)
    room = min(most_pairs, weights.n_classes) + 1
    n_bytes = pairs_scan.scratch_bytes(most_entries, most_pairs, weights.n_classes, dtype.itemsize)
    memory = workspace.array("pairs_scan", (n_bytes,), np.uint8)
    touched, logits = np.empty((rows.n_rows, room), np.int32), np.empty((rows.n_rows, room), dtype)
    n_touched = np.empty(rows.n_rows, np.intp)
    pairs_scan.touch(
        *rows[:3], *weights[1:4], weights.n_classes, touched, logits, n_touched, most_entries, most_pairs, memory
    )
    return np.arange(rows.n_rows) * room, n_touched, touched, logits


def _scan(rows, weights, base, k, n_threads, workspace, eligible, sizes=None):
    """The k best class ids of each row, their logits, and the log-sum-exps."""
    n_rows, dtype = rows.n_rows, base.bias.dtype
    most_entries, most_pairs, n_pairs = sizes or measure(rows, weights)
    n_threads = threads.for_work(n_threads, PAIR_WORK * n_pairs)
    n_bytes = pairs_scan.scratch_bytes(most_entries, most_pairs, weights.n_classes, dtype.itemsize)
    memory = workspace.array("pairs_scan", (n_threads, n_bytes), np.uint8)
    values, class_ids = np.empty((n_rows, k), dtype), np.empty((n_rows, k), np.int64)
    lse, is_exact = np.empty(n_rows), np.empty(n_rows, np.uint8)
    ranked = base.ranked_of(eligible, k + most_pairs) if k else np.empty(0, np.int32)
    n_inexact = pairs_scan.scan(
        *rows[:3], weights.indptr, weights.class_ids, weights.data, weights.base, base.bias, base.pairs, base.mass, base.shift,
        base.least_exact, ranked, eligible, eligible.mask(weights.n_classes), values, class_ids, lse, is_exact,
        most_entries, most_pairs, memory,
    )  # fmt: skip
    if n_inexact:
        at = np.flatnonzero(is_exact == 0)
        lse[at] = _exact(rows, at, weights, base, n_threads, workspace)
    return class_ids, values, lse


def _exact(rows, at, weights, base, n_threads, workspace):
    """The log-sum-exps of rows `at`, whose untouched classes have to be added up one by one."""
    batch = RowReader(len(weights.indptr) - 1).take(*rows[:3], at)
    return PairsForward(batch, weights, base, n_threads=n_threads, workspace=workspace, keep=False).lse
