"""Rows of which each rank has a part, put together: every rank needs all of them, and each machine keeps one copy."""

import os
import pickle
import zlib
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax.distributed.likeness import told
from fastsoftmax.runtime.blocks import BLOCK
from fastsoftmax.validation import LabelLists, ratios


def are_common(ranks, X):
    """Whether X, as the user gave it, is the same memory-mapped file on all ranks, so that each of them has all rows.

    What is in the file counts, too: another machine may have another file of this name.
    """
    if ranks.size == 1:
        return True
    arrays = (X.data, X.indices, X.indptr) if sparse.issparse(X) and X.format == "csr" else (X,)
    places = ranks.objects([_place_in_file(a) for a in arrays])
    if any(None in other or other != places[0] for other in places):
        return False
    files = [_file(a) for a in arrays]
    first_files, checksums = ranks.common(lambda: (files, [_checksum(a) for a in arrays]))
    if None in files or files != first_files:  # else the first rank of the machine has read the same files
        checksums = [_checksum(a) for a in arrays]
    contents = ranks.objects((checksums, [file and file.st_size for file in files]))
    return all(other == contents[0] for other in contents)


def _place_in_file(a):
    """Where the array lies in the file that it is a map of; None where it is none, or may have been written to since."""
    root = _map(a)
    if root is None or root.filename is None or root.mode == "c":
        return None
    return str(root.filename), root.offset + a.ctypes.data - root.ctypes.data, a.shape, a.strides, a.dtype.str


def _map(a):
    """The numpy.memmap that the array is a view of, or None."""
    root = None
    while isinstance(a, np.ndarray):
        root = a if isinstance(a, np.memmap) else root
        a = a.base
    return root


class _File(NamedTuple):
    st_dev: int
    st_ino: int
    st_size: int


def _file(a):
    """Which file the array is a map of; None where it is no longer there."""
    try:
        found = os.stat(_map(a).filename)
    except FileNotFoundError:
        return None
    return _File(found.st_dev, found.st_ino, found.st_size)


def _checksum(a):
    """The CRC-32 of the elements in the order of memory, or of the rows where there are gaps between them."""
    a = np.asarray(a.T if a.flags.f_contiguous else a)
    step, crc = max(1, BLOCK // max(1, a[:1].size)), 0
    for start in range(0, len(a), step):
        crc = zlib.crc32(np.ascontiguousarray(a[start : start + step]).reshape(-1).view(np.uint8), crc)
    return crc


def collect_X(ranks, X, *, common):
    """The checked rows of all ranks, in the order of the ranks, and the slice of them that are this rank's: (X, own).

    common : whether each rank has all of them already
    """
    if common:
        return X, slice(None)
    dtypes = _dtypes(ranks, X)
    X = X if X.shape[0] else X.astype(dtypes[0], copy=False)
    ranks.agree(
        **{"the number of columns of X": X.shape[1], "sparse X": sparse.issparse(X), "the dtype of X": X.dtype.name}
    )
    n_rows = ranks.objects(X.shape[0])
    start = sum(n_rows[: ranks.rank])
    own = slice(start, start + X.shape[0])
    return (_collect_csr(ranks, X) if sparse.issparse(X) else ranks.collect(X)), own


def _dtypes(ranks, a):
    """The dtypes of the parts that have rows, in the order of the ranks; of one without rows where none has any.

    An empty list is float64 to NumPy: what a rank without rows passes says nothing about the others'.
    """
    of_ranks = ranks.objects((a.dtype, a.shape[0]))
    return [dtype for dtype, n_rows in of_ranks if n_rows] or [of_ranks[0][0]]


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


def collect_labels(ranks, y, *, common):
    """Checked labels, lists of labels or masses of the rows of all ranks; where rows are `common`, so are they."""
    if ranks.size == 1:
        return y
    if common:
        ranks.agree(y=told(y))
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
    dtypes = _dtypes(ranks, labels)
    if any(dtype.kind != dtypes[0].kind for dtype in dtypes):
        of_ranks = ranks.objects((str(labels.dtype), len(labels)))
        names = ", ".join(f"{dtype} on rank {rank}" for rank, (dtype, n_rows) in enumerate(of_ranks) if n_rows)
        raise TypeError(f"y must have labels of one kind on all ranks, got {names}")
    if len(labels) == 0:
        labels = labels.astype(dtypes[0])
    if dtypes[0].kind == "O":
        return _collect_objects(ranks, labels)
    if dtypes[0].kind == "T":  # the variable-width strings of NumPy
        return np.concatenate([np.array(part, labels.dtype) for part in ranks.objects(labels.tolist())])
    return ranks.collect(labels.astype(np.result_type(*dtypes), copy=False))


def _collect_objects(ranks, labels):
    """The labels of all ranks, Python objects: where those of one cannot be sent, or read by another, all raise."""
    with ranks.together():
        sent = pickle.dumps(labels)
    of_ranks = ranks.objects(sent)
    with ranks.together():
        return np.concatenate([pickle.loads(part) for part in of_ranks])


def collect_weights(ranks, weight, *, common):
    """The `ratios` of the weights of the rows of all ranks; alone, they are ratios already."""
    if ranks.size == 1:
        return weight
    if common:
        ranks.agree(sample_weight=told(weight))
    return ratios(weight if common else ranks.collect(weight))


def collect_eligible(ranks, eligible, *, common):
    """The Eligible of the rows of all ranks; subset and threshold must be the same on all."""
    subset = None if eligible.class_ids is None else (len(eligible.class_ids), zlib.crc32(eligible.class_ids))
    excludes = eligible.indptr is not None
    ranks.agree(classes=subset, threshold=eligible.threshold, **{"exclude, whether there is any": excludes})
    if not excludes or common:
        return eligible
    lengths = ranks.collect(np.diff(eligible.indptr))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    first, last = eligible.indptr[0], eligible.indptr[-1]
    return eligible._replace(indptr=indptr, excluded=ranks.collect(eligible.excluded[first:last]))
