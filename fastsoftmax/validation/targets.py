"""Class codes and masses."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_array, as_int_array
from fastsoftmax.validation.scalars import check_int
from fastsoftmax.validation.sparse_arrays import check_csr
from fastsoftmax.validation.weights import check_not_negative, of_sum_one


def check_target(target, n_samples, n_classes, *, ignore_index=None, name="target"):
    """Class codes as contiguous int64 (n_samples,), with -1 for those that equal `ignore_index`."""
    target = as_int_array(name, target, "integer class codes")
    if target.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), one class code a row of X, got {target.shape}")
    ignored = np.zeros(n_samples, bool) if ignore_index is None else target == ignore_index
    bad = np.flatnonzero(~ignored & ((target < 0) | (target >= n_classes)))
    if bad.size:
        raise ValueError(f"{name} must be in [0, {n_classes}), got {target[bad[0]]} at position {bad[0]}")
    return np.where(ignored, -1, target.astype(np.int64))


def check_codes(name, y, n_samples, n_classes=None):
    """`y` as int64 (n_samples,) class codes in [0, n_classes); without `n_classes` below 2**31 - 1, and at least one."""
    if n_classes is None:
        n_classes = np.iinfo(np.int32).max
        if n_samples == 0:
            raise ValueError(f"{name} must not be empty where n_classes is not given")
    else:
        n_classes = check_int("n_classes", n_classes, minimum=1, maximum=np.iinfo(np.int32).max)
    return check_target(y, n_samples, n_classes, name=name)


def check_indicator(name, y, n_samples, n_classes=None):
    """The classes of each row, which are the nonzeros of `y`, as CSR of float32 ones."""
    shape = n_samples, y.shape[1] if n_classes is None else n_classes
    if y.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, a column a class, got {y.shape}")
    y = sparse.csr_array(check_csr(y, np.float32, name), copy=True)
    y.sum_duplicates()
    y.eliminate_zeros()
    y.data.fill(1)
    return y


def is_one_a_row(target):
    """Whether `target` has the form of one class a row, rather than several."""
    return not sparse.issparse(target) and as_array("target", target).ndim != 2


def check_true_classes(target, n_samples, n_classes, *, name="target"):
    """Several classes a row, given as codes (n_samples, num_true) or as sparse masses (n_samples, n_classes).

    Returns
    -------
    masses : canonical CSR of float64, all above 0, with a sum of 1 in each row
    shape : tuple, the shape of an array with a number for each code, or for each element of the canonical `target`
    places : (nnz,) for each element of `masses`, where its number is in that array, flattened
    """
    if not sparse.issparse(target):
        return _check_code_lists(target, n_samples, n_classes, name)
    if target.shape != (n_samples, n_classes):
        raise ValueError(f"{name} must have shape ({n_samples}, {n_classes}), a mass a class, got {target.shape}")
    masses = sparse.csr_array(check_csr(target, np.float64, name), copy=True)
    masses.sum_duplicates()
    rows = np.repeat(np.arange(n_samples), np.diff(masses.indptr))
    check_not_negative(name, masses.data, "in row", rows)
    masses.data, counted = of_sum_one(masses.data, rows, n_samples)
    if not counted.all():
        raise ValueError(f"{name} must have a mass above 0 in each row, got none in row {int(counted.argmin())}")
    shape, places = masses.data.shape, np.flatnonzero(masses.data)
    masses.eliminate_zeros()
    return masses, shape, places


def _check_code_lists(target, n_samples, n_classes, name):
    target = as_int_array(name, target, "integer class codes")
    if target.shape[0] != n_samples or target.shape[1] == 0:
        raise ValueError(f"{name} must have shape ({n_samples}, num_true), num_true >= 1, got {target.shape}")
    codes = check_target(target.reshape(-1), target.size, n_classes, name=name)
    elements = np.repeat(np.arange(n_samples), target.shape[1]) * n_classes + codes
    elements, places, counts = np.unique(elements, return_index=True, return_counts=True)
    indptr = np.searchsorted(elements, np.arange(n_samples + 1) * n_classes)
    masses = sparse.csr_array((counts / target.shape[1], elements % n_classes, indptr), shape=(n_samples, n_classes))
    return masses, target.shape, places
