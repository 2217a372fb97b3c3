"""One-vs-all squared hinges over the positives and the hard negatives of each class, with weights of its positives' features.

The rows that are left out have the logit -1 at zero weights, where they cost nothing: a class begins by finding its positives,
and its hard negatives, which look like them, keep it from finding others. So the work is that of the rows given, however many
rows and classes there are.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.kernels import hard_negatives as kernel
from fastsoftmax.newton import one_vs_all
from fastsoftmax.runtime import memory, workspaces

BLOCK_ENTRIES = 1 << 24  # of the rows of a block of classes, for each thread: they take about a fifth of a second


def solve(
    X,
    positives,
    negatives,
    C,
    *,
    tol=0.03,
    min_weight=0.05,
    feature_scaling=0.25,
    weight=None,
    positive_weight=None,
    n_threads=1,
    show=None,
):
    """The weights of all classes, W (n_classes, n_features) CSC: logits are ``-1 + X @ W.T``.

    For each class it minimises ``1/2 ||w||^2 + C sum_i s_i loss_i`` over its positives, with
    ``loss_i = q max(0, 1 - z_i)^2``, and its negatives, with ``max(0, 1 + z_i)^2``. Only features of its positives have
    weights, so a class without positives has none. The result is the same to the bit for any `n_threads`.

    Parameters
    ----------
    X : (n_rows, n_features) CSR array of float32 or float64, without duplicates
    positives : (n_rows, n_classes) CSR array: each entry is a positive, whatever its value
    negatives : (n_rows, m) int array of class codes, those of a row all different and none of its positives; -1: none
    tol : the norm of the gradient at which a class ends, as a share of the norm at zero weights
    min_weight : smaller weights become zero as soon as a class is solved: weights for X as it is given, without scaling
    feature_scaling : in [0, 1], as in OneVsAllClassifier
    weight : (n_rows,) s, or None for 1; a row of weight 0 is as if it were left out
    positive_weight : (n_classes,) q, or None for 1
    show : function that is called with the number of classes of each block that is solved, or None

    Raises
    ------
    ValueError
        If the squares of the values of X, or C times them, overflow its type.
    """
    (n_rows, n_features), n_classes, dtype = X.shape, positives.shape[1], X.dtype
    n_threads = max(1, min(n_threads, n_classes))
    weight = np.ones(n_rows) if weight is None else np.asarray(weight, np.float64)
    factors = np.ones(n_classes) if positive_weight is None else np.array(positive_weight, np.float64)
    scales = one_vs_all.feature_scales(X, weight, feature_scaling)
    indptr, indices, data = X.indptr.astype(np.int64, copy=False), X.indices.astype(np.int32, copy=False), X.data
    if scales is None:
        scales = np.ones(n_features, dtype)
    else:
        data = data * scales[indices]
    rows = indptr, indices, data, (C * weight).astype(dtype)
    sides = [
        kernel.rows_by_class(class_ids, class_ptr.astype(np.int64, copy=False), indptr, n_classes)
        for class_ids, class_ptr in ((positives.indices, positives.indptr), _flat(negatives))
    ]
    room = np.minimum(sides[0][2], n_features)  # for the weights of each class
    blocks, work = [], sides[0][2] + sides[1][2]
    n_threads = min(n_threads, _threads_that_fit(sides, n_features, dtype))
    with workspaces.workspace() as workspace:
        scratch = _scratch(workspace, sides, room, n_features, dtype, n_threads)
        for start, stop in _blocks_of(work, BLOCK_ENTRIES * n_threads):
            # the longest first, so that threads end at about the same time
            order = start + np.argsort(-work[start:stop], kind="stable")
            blocks.append(_solve_block(rows, scales, sides, factors, tol, min_weight, order, scratch, room, n_threads))
            if show is not None:
                show(stop - start)
    return _assemble(blocks, (n_classes, n_features), dtype)


def _flat(negatives):
    """(class_ids, class_ptr) of negatives."""
    n_rows, m = negatives.shape
    codes = negatives if negatives.dtype in (np.int32, np.int64) else negatives.astype(np.int64)
    return np.ascontiguousarray(codes).ravel(), np.arange(n_rows + 1) * m


def _threads_that_fit(sides, n_features, dtype):
    """How many threads half of the memory has room for; the room of each is mostly for the entries of the largest class."""
    free = memory.available()
    n_entries = int(sum(entries for _, _, entries in sides).max(initial=0))
    per_thread = (n_entries + 1) * (4 + dtype.itemsize) + n_features * 4
    return 1 << 30 if free is None else max(1, free // 2 // per_thread)


class _Scratch(NamedTuple):
    """The memory of each thread, for HardScratch."""

    places: np.ndarray
    feature_ids: np.ndarray
    starts: np.ndarray
    active: np.ndarray
    entry_features: np.ndarray
    entries: np.ndarray
    rows: np.ndarray
    features: np.ndarray


def _scratch(workspace, sides, room, n_features, dtype, n_threads):
    """Enough for the classes of the most rows, entries and features."""
    n_rows = int(sum(np.diff(starts) for starts, _, _ in sides).max(initial=0))
    n_entries = int(sum(entries for _, _, entries in sides).max(initial=0))
    n_used = int(room.max(initial=0))
    padded = -(-n_used // kernel.MULTIPLE) * kernel.MULTIPLE
    shapes = _Scratch(
        places=((n_features,), np.int32),
        feature_ids=((n_used,), np.int32),
        starts=((n_rows + 1,), np.int64),
        active=((n_rows,), np.int32),
        entry_features=((n_entries + 1,), np.int32),
        entries=((n_entries + 1,), dtype),
        rows=((kernel.ROW_ARRAYS, n_rows), dtype),
        features=((kernel.FEATURE_ARRAYS, padded), dtype),
    )
    scratch = _Scratch(
        *(
            workspace.array(f"hard negatives {name}", (n_threads, *shape), kind)
            for name, (shape, kind) in zip(_Scratch._fields, shapes, strict=True)
        )
    )
    scratch.places.fill(-1)
    return scratch


def _blocks_of(work, size):
    """(start, stop) of consecutive classes of about so much work, or one class."""
    start, done = 0, np.cumsum(work)
    while start < len(work):
        before = done[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(done, before + size, side="right")))
        yield start, stop
        start = stop


def _solve_block(rows, scales, sides, factors, tol, min_weight, order, scratch, room, n_threads):
    """(how many weights each class has, their features, the weights) of the classes of a block, in their order."""
    out_ptr = np.concatenate([[0], np.cumsum(room[order])])
    features, weights = np.empty(out_ptr[-1], np.int32), np.empty(out_ptr[-1], scales.dtype)
    counts = np.empty(len(order), np.int64)
    kernel.solve(
        *rows, scales, *sides, factors, tol, min_weight, order, scratch, out_ptr, features, weights, counts, n_threads
    )
    if (counts < 0).any():
        raise ValueError(
            f"X has values so near the ends of {scales.dtype} that gradients overflow: scale X, or give it as float64"
        )
    ascending = np.argsort(order)
    begins, counts = out_ptr[ascending], counts[ascending]
    ends = np.cumsum(counts)
    found = np.repeat(begins - (ends - counts), counts) + np.arange(ends[-1])
    return counts, features[found], weights[found]


def _assemble(blocks, shape, dtype):
    """W of what the blocks found."""
    if not blocks:
        return sparse.csc_array(shape, dtype=dtype)
    counts, features, weights = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    W = sparse.csr_array((weights, features, indptr), shape=shape).tocsc()
    W.indices = W.indices.astype(np.int32, copy=False)
    return W
