"""Rows of which each rank has a part, put together: every rank needs all of them, and each machine keeps one copy."""

import zlib

import numpy as np
from scipy import sparse

from fastsoftmax.validation import LabelLists, ratios


def collect_X(ranks, X):
    """The rows of all ranks, in the order of the ranks, and the slice of them that are this rank's: (X, own)."""
    if ranks.size == 1:
        return X, slice(None)
    ranks.agree(
        **{"the number of columns of X": X.shape[1], "sparse X": sparse.issparse(X), "the dtype of X": X.dtype.name}
    )
    n_rows = ranks.objects(X.shape[0])
    start = sum(n_rows[: ranks.rank])
    own = slice(start, start + X.shape[0])
    if not sparse.issparse(X):
        return ranks.collect(X), own
    return _collect_csr(ranks, X), own


def _collect_csr(ranks, X):
    """CSR rows of all ranks, with the same type of indices as one process would have."""
    before = np.cumsum([0, *ranks.objects(int(X.indptr[-1] - X.indptr[0]))])
    wide = max(ranks.objects(X.indices.dtype.itemsize)) > 4 or before[-1] > np.iinfo(np.int32).max
    index_dtype = np.int64 if wide else np.int32
    first, last = int(X.indptr[0]), int(X.indptr[-1])
    ends = ranks.collect((X.indptr[1:].astype(np.int64) - first + before[ranks.rank]).astype(index_dtype))
    indices = ranks.collect(X.indices[first:last].astype(index_dtype, copy=False))
    data = ranks.collect(X.data[first:last])
    indptr = np.concatenate([np.zeros(1, index_dtype), ends])
    out = sparse.csr_array((data, indices, indptr), shape=(len(ends), X.shape[1]), copy=False)
    out.has_canonical_format = all(ranks.objects(bool(X.has_canonical_format)))
    return out


def collect_labels(ranks, y):
    """Checked labels, lists of labels or masses of the rows of all ranks."""
    if ranks.size == 1:
        return y
    ranks.agree(**{"the type of y": type(y).__name__, "the number of columns of y": y.shape[1:]})
    if sparse.issparse(y):
        return _collect_csr(ranks, y)
    if isinstance(y, LabelLists):
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(ranks.objects(np.diff(y.indptr))))])
        return LabelLists(_collect_flat(ranks, y.labels), indptr)
    return _collect_flat(ranks, y)


def _collect_flat(ranks, labels):
    """The labels of all ranks in one array. Those of several widths or types become what NumPy makes of them together."""
    dtypes = ranks.objects(labels.dtype)
    if any(dtype.kind != dtypes[0].kind for dtype in dtypes):
        names = ", ".join(str(dtype) for dtype in dtypes)
        raise TypeError(f"y must have labels of one kind on all ranks, got {names}")
    if dtypes[0].kind == "O":
        return np.concatenate(ranks.objects(labels))
    if dtypes[0].kind == "T":  # the variable-width strings of NumPy
        return np.concatenate([np.array(part, labels.dtype) for part in ranks.objects(labels.tolist())])
    return ranks.collect(labels.astype(np.result_type(*dtypes), copy=False))


def collect(ranks, X, y, *weights):
    """(own, X, y, *weights): all of the rows of all ranks, whose parts are given, and which of them are this rank's.

    weights : arrays of which only the ratios matter, and to whose `ratios` all come down
    """
    X, own = collect_X(ranks, X)
    if ranks.size > 1:
        weights = [ratios(ranks.collect(weight)) for weight in weights]
    return own, X, collect_labels(ranks, y), *weights


def collect_eligible(ranks, eligible):
    """The Eligible of the rows of all ranks; subset and threshold must be the same on all."""
    subset = None if eligible.class_ids is None else (len(eligible.class_ids), zlib.crc32(eligible.class_ids))
    excludes = eligible.indptr is not None
    ranks.agree(classes=subset, threshold=eligible.threshold, **{"exclude, whether there is any": excludes})
    if not excludes:
        return eligible
    lengths = ranks.collect(np.diff(eligible.indptr))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    first, last = eligible.indptr[0], eligible.indptr[-1]
    return eligible._replace(indptr=indptr, excluded=ranks.collect(eligible.excluded[first:last]))
