"""Which classes a top-k may return."""

import itertools

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_int_vector, check_unmasked
from fastsoftmax.validation.class_facts import facts, first_of_other_family
from fastsoftmax.validation.classes import encode_labels
from fastsoftmax.validation.foreign import as_known, as_label_source
from fastsoftmax.validation.labels import are_label_lists, as_label_array, check_labels
from fastsoftmax.validation.resources import check_memory
from fastsoftmax.validation.scalars import INT64, check_int, check_real
from fastsoftmax.validation.sparse_arrays import check_csr


def check_threshold(threshold):
    """A probability that others are compared with, as a float in (0, 1)."""
    threshold = check_real("threshold", threshold, above=0)
    if threshold >= 1:
        raise ValueError(f"threshold must be below 1, got {threshold}")
    return threshold


def check_eligible(name, classes, exclude, threshold, n_rows, n_classes, labels=None):
    """The subset, the classes excluded row by row, and the threshold of a top-k; each is None if it is not given.

    name, classes : the name of the parameter and the subset to choose among, or None
    labels : (n_classes,) the labels of a classifier, sorted; None: classes are given as codes

    Returns
    -------
    class_ids : (n,) int64, ascending
    indptr, excluded : (n_rows + 1,) intp, and int64; row i may not get excluded[indptr[i]:indptr[i + 1]], ascending
    threshold : float
    """
    if classes is None and exclude is None and threshold is None:
        return None, None, None, None
    class_ids = indptr = excluded = None
    if classes is not None:
        class_ids = np.unique(_codes(name, classes, n_classes, labels))
        if not class_ids.size:
            raise ValueError(f"{name} must name at least one class, got none")
    if exclude is not None:
        exclude = as_known("exclude", exclude)
        check = _check_excluded_elements if sparse.issparse(exclude) else _check_excluded_lists
        indptr, excluded = check(exclude, n_rows, n_classes, labels)
    if threshold is not None:
        threshold = check_threshold(threshold)
    if labels is not None and labels.dtype.kind == "u" and labels.max() > np.iinfo(np.int64).max:
        raise ValueError(f"labels above 2**63 - 1 leave no room for -1, which pads results, got {labels.max()}")
    return class_ids, indptr, excluded, threshold


def check_k(k, n_classes, n_rows, *, pads):
    """`k` as an int from 1 to the number of classes, or beyond it if results are padded anyway and fit into memory."""
    k = check_int("k", k, minimum=1, maximum=INT64.max if pads else n_classes)
    if k > n_classes:
        check_memory("the (n_samples, k) result", 16 * n_rows * k, f"{n_rows:,} x {k:,} x 16 bytes")
    return k


def codes_of_classes(name, classes, labels):
    """int64 codes of `classes`, labels among the sorted `labels` of a classifier, in their order."""
    return _codes(name, classes, len(labels), labels)


def _codes(name, classes, n_classes, labels, *, excluded=False):
    """int64 codes of `classes`, in their order; these are labels, or codes already if `labels` is None.

    With `excluded`, labels that are no classes are allowed, since nothing returns them anyway, and so is what pads results.
    Their code is -1.
    """
    if labels is None:
        codes = as_int_vector(name, classes).astype(np.int64, copy=False)
        wrong = ((codes < 0) & ~(excluded & (codes == -1))) | (codes >= n_classes)
        if wrong.any():
            raise ValueError(f"{name} must hold classes in [0, {n_classes}), got {codes[wrong][0]}")
        return codes
    pads_missing = excluded and labels.dtype.kind in "OmM"  # results are padded by None or NaT, which are no labels
    values, is_label = check_labels(classes, name=name, ignore_label=np.nan if pads_missing else None)
    at, among = first_of_other_family(values, labels), f"{name} must hold classes among the {n_classes} classes"
    if at is not None:
        raise ValueError(
            f"{among}, which are {facts(labels).family} ({labels.dtype}), got {values[at : at + 1].tolist()[0]!r}"
        )
    codes = encode_labels(values, labels, unknown=-1, name=name).astype(np.int64, copy=False)
    if not excluded and (codes < 0).any():
        raise ValueError(f"{among}, got {values[codes < 0].tolist()[0]!r}")
    if is_label is None:
        return codes
    all_codes = np.full(len(is_label), -1)
    all_codes[is_label] = codes
    return all_codes


def _check_excluded_elements(exclude, n_rows, n_classes, labels):
    if exclude.shape != (n_rows, n_classes):
        raise ValueError(f"exclude must have shape ({n_rows}, {n_classes}), a column a class, got {exclude.shape}")
    a = check_csr(exclude, np.bool_, "exclude")
    if not a.has_canonical_format:
        a = a.copy()
        a.sum_duplicates()
    return a.indptr.astype(np.intp), a.indices.astype(np.int64)


def _check_excluded_lists(exclude, n_rows, n_classes, labels):
    if isinstance(exclude, (str, bytes)) or not hasattr(exclude, "__len__"):
        raise TypeError(f"exclude must be a sparse matrix or a sequence of arrays of classes, got {exclude!r}")
    if len(exclude) != n_rows:
        raise ValueError(
            f"exclude must have an array of classes for each of the {n_rows} rows of X, got {len(exclude)}"
        )
    arrays = [_as_vector(i, a, labels) for i, a in enumerate(exclude)]
    rows = np.repeat(np.arange(n_rows), [len(a) for a in arrays])
    arrays = [a for a in arrays if len(a)]  # an empty list has no type
    codes = _codes("exclude", _joined(arrays), n_classes, labels, excluded=True) if arrays else np.empty(0, np.int64)
    elements = np.unique(rows[codes >= 0] * n_classes + codes[codes >= 0])
    return np.searchsorted(elements, np.arange(n_rows + 1) * n_classes), elements % n_classes


def _joined(arrays):
    """All labels in one array, of objects where a common dtype would change some, or make all as long as the longest."""
    dtypes = {a.dtype for a in arrays}
    are_integers = all(dtype.kind in "biu" for dtype in dtypes)
    if len(dtypes) == 1 or (are_integers and np.result_type(*dtypes).kind in "biu"):  # not so for uint64 and int64
        return np.concatenate(arrays)
    if any(dtype.kind in "mM" for dtype in dtypes):  # of which NumPy makes integers in some units
        return as_label_array(list(itertools.chain.from_iterable(arrays)))
    return np.concatenate([a.astype(object) for a in arrays])


def _as_vector(i, classes, labels):
    check_unmasked("exclude", classes)
    if labels is None:
        return as_int_vector("exclude", classes)
    a = as_label_array(as_label_source("exclude", classes))
    if a.ndim != 1 or are_label_lists(a):
        raise ValueError(f"exclude must hold an array of classes for each row, got {classes!r} for row {i}")
    return a
