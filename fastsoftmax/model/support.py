"""The pairs for a sparse W: each feature with the classes that it occurs with."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation import (
    as_known,
    check_codes,
    check_indicator,
    check_int,
    check_memory,
    check_X,
)

__all__ = ["support"]

FEATURE_BYTES, ROW_BYTES = 24, 8  # pointers and numbers of pairs by feature, of which several are in use at a time
CLASS_BYTES = 16  # what SciPy's product takes for each class
COPY_BYTES = 8  # index and value of an entry in X by feature
ENTRY_BYTES = 3 * 8  # of one with a pair of its own: there, in the counts, and in a copy of the counts that are kept


def support(X, y, min_count=1, max_classes_per_feature=None, n_classes=None):
    """Count the pairs of a class and a feature that occur together in `X` and `y`, and choose those of a sparse W.

    Parameters
    ----------
    X : (n_samples, n_features) scipy.sparse matrix or array
        A feature occurs in a row where its value is not zero.
    y : (n_samples,) integer array, or scipy.sparse (n_samples, n_classes)
        Class codes from 0 on, or an indicator matrix of the classes of each row.
    min_count : int
        Pairs that occur in fewer rows are left out.
    max_classes_per_feature : int, optional
        A feature that is left with more classes than this loses all of them: it says little about the class and would cost
        the most.
    n_classes : int, optional
        The number of classes; by default one more than the largest code.

    Returns
    -------
    counts : (n_classes, n_features) scipy.sparse.csc_array, float32
        The number of rows that each pair occurs in, with int32 indices where these suffice. A W of zeros for these pairs is
        ``W = counts.copy(); W.data.fill(0)``. Where each row has one class, there are never more pairs than X has entries.

    Raises
    ------
    MemoryError
        Before the work, if 24 bytes for each entry of X (or 8, for those beyond n_features * n_classes) and for each feature,
        8 for each row and 16 for each class are not available.
    ValueError, TypeError
        If shapes do not match, X is not finite, or codes are out of range.

    See Also
    --------
    linear_cross_entropy : takes such a W.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax import support
    >>> X = np.array([[1.0, 0.0, 2.0], [0.5, 0.0, 0.0], [0.0, 3.0, 1.0]])
    >>> support(X, np.array([0, 0, 1])).toarray()
    array([[2., 0., 1.],
           [0., 1., 1.]], dtype=float32)
    """
    X = check_X(X)
    min_count = check_int("min_count", min_count, minimum=1)
    if max_classes_per_feature is not None:
        max_classes_per_feature = check_int("max_classes_per_feature", max_classes_per_feature, minimum=1)
    n_samples, n_features = X.shape
    y = as_known("y", y)
    if sparse.issparse(y):
        one_hot = check_indicator("y", y, n_samples, n_classes)
    else:
        y = check_codes("y", y, n_samples, n_classes)
        shape = n_samples, n_classes or int(y.max(initial=-1)) + 1
        one_hot = sparse.csr_array((np.ones(n_samples, np.float32), y, np.arange(n_samples + 1)), shape=shape)
    n_classes = one_hot.shape[1]
    n_entries = _n_pairs(X, one_hot)
    n_pairs = most_pairs(n_entries, n_features, n_classes)
    check_memory(
        "the support",
        support_bytes(n_entries, n_features, n_samples, n_classes),
        f"{ENTRY_BYTES} bytes for each of {n_pairs:,} entries, {COPY_BYTES} for each of {n_entries - n_pairs:,} that share a "
        f"pair, {FEATURE_BYTES} for each of {n_features:,} features, "
        f"{ROW_BYTES} for each of {n_samples:,} rows, {CLASS_BYTES} for each of {n_classes:,} classes",
    )
    occurrences = sparse.csc_array(X, dtype=np.float32, copy=True)
    occurrences.sum_duplicates()
    occurrences.eliminate_zeros()
    occurrences.data.fill(1)
    by_feature = occurrences.T @ one_hot  # CSR, in which the classes of a feature lie side by side
    if min_count > 1:
        by_feature.data[by_feature.data < min_count] = 0
        by_feature.eliminate_zeros()
    if max_classes_per_feature is not None:
        n_kept = np.diff(by_feature.indptr)
        if n_kept.max(initial=0) > max_classes_per_feature:
            by_feature.data[np.repeat(n_kept > max_classes_per_feature, n_kept)] = 0
            by_feature.eliminate_zeros()
    by_feature.sort_indices()
    index_dtype = sparse.get_index_dtype(maxval=max(by_feature.nnz, n_classes))  # the indices of X may be wider
    indices, indptr = (a.astype(index_dtype, copy=False) for a in (by_feature.indices, by_feature.indptr))
    return sparse.csc_array((by_feature.data, indices, indptr), shape=(n_classes, n_features))


def most_pairs(n_entries, n_features, n_classes):
    """The most pairs of a feature and a class that so many (entry of X, class of its row) pairs can be."""
    return min(n_entries, n_features * n_classes)


def support_bytes(n_entries, n_features, n_samples, n_classes):
    """The bytes that `support` needs for so many (entry of X, class of its row) pairs."""
    n_pairs = most_pairs(n_entries, n_features, n_classes)
    entries = ENTRY_BYTES * n_pairs + COPY_BYTES * (n_entries - n_pairs)
    return entries + FEATURE_BYTES * n_features + ROW_BYTES * n_samples + CLASS_BYTES * n_classes


def _n_pairs(X, one_hot):
    """The number of (entry of X, class of its row) pairs: there are at most as many different (feature, class) pairs."""
    per_row = np.diff(X.indptr) if sparse.issparse(X) else np.count_nonzero(X, axis=1)
    return int(per_row.astype(np.int64) @ np.diff(one_hot.indptr).astype(np.int64))
