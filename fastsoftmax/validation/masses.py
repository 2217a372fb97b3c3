"""Targets that are masses of classes, and the weights of classes."""

import numbers
import sys

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_vector, native
from fastsoftmax.validation.classes import known_codes
from fastsoftmax.validation.labels import as_label_array
from fastsoftmax.validation.sampling import check_counts
from fastsoftmax.validation.sparse_arrays import check_csr
from fastsoftmax.validation.weights import check_finite_sum, of_sum_one


def are_masses(y):
    """Whether `y`, sparse or a label array, gives each row masses of classes, (n_samples, n_classes)."""
    return sparse.issparse(y) or (y.ndim == 2 and y.shape[1] != 1)


def check_masses(y, n_samples, name="y"):
    """The masses of classes of each row that has any, as canonical CSR of float64, all above 0, with a sum of 1 in each row.

    Returns
    -------
    masses : CSR
    counted : (n_samples,) bool, which rows have any mass, or None if all do
    """
    is_indicator = y.dtype == bool  # whose elements do not add up
    if not sparse.issparse(y):
        y = _check_dense(y, name)
    if y.ndim != 2 or y.shape[0] != n_samples:
        raise ValueError(f"{name} has shape {y.shape}, but X has {n_samples} rows")
    if y.shape[1] < 2:
        raise ValueError(f"{name} must have a column for each of at least two classes, got shape {y.shape}")
    masses = sparse.csr_array(check_csr(y, np.float64, name), copy=True)
    masses.sum_duplicates()
    if not masses.data.all():  # which is found sooner than the pass over all rows is made
        masses.eliminate_zeros()
    if is_indicator:
        masses.data.fill(1)
    rows = np.repeat(np.arange(n_samples), np.diff(masses.indptr))
    bad = np.flatnonzero(~(np.isfinite(masses.data) & (masses.data > 0)))
    if bad.size:
        raise ValueError(
            f"{name} must hold finite masses that are not negative, got {masses.data[bad[0]]} in row {rows[bad[0]]}"
        )
    masses.data, counted = of_sum_one(masses.data, rows, n_samples)
    if not masses.data.all():  # some have underflowed
        masses.eliminate_zeros()
    return (masses, None) if counted.all() else (masses[counted], counted)


def _check_dense(y, name):
    """A 2-D array as CSR. Integers have to be an indicator, since others might be meant as several outputs."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"{name}, of two dimensions, must hold masses of classes, got an array of {y.dtype}")
    small_float = y.dtype.kind == "f" and y.dtype.itemsize < 4  # SciPy has none
    masses = sparse.csr_array(native(y, np.float32 if small_float else None))  # without a dense copy in float64
    bad = np.flatnonzero(masses.data != 1) if y.dtype.kind in "iu" else ()
    if len(bad):
        row, column = int(np.searchsorted(masses.indptr, bad[0], side="right")) - 1, masses.indices[bad[0]]
        raise ValueError(
            f"{name}, of two dimensions and integers, must hold zeros and ones, got {masses.data[bad[0]]} in row {row}, "
            f"column {column}; other masses must be floats or a scipy.sparse matrix, and labels of several a row sets or lists"
        )
    return masses


def check_columns(y, classes):
    """Raise unless the masses `y` have a column for each class."""
    if y.shape[1] != len(classes):
        raise ValueError(f"y has {y.shape[1]} columns, but there are {len(classes)} classes")


def check_column_labels(given, classes):
    """Raise unless the labels given for the columns of masses are distinct and in the order of `classes`."""
    given = as_label_array(given).tolist()
    if given != classes.tolist():
        raise ValueError(
            f"classes must be distinct and in ascending order where y has a column for each, got {given[:5]}..."
        )


def check_class_weight_param(class_weight):
    """Raise unless it is None, "balanced", or a dict of labels and weights that are finite and not negative."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight must be None, 'balanced' or a dict of labels and weights, got {class_weight!r}")
    for label, weight in class_weight.items():
        if isinstance(weight, (bool, np.bool_)) or not isinstance(weight, numbers.Real):
            raise TypeError(f"class_weight must hold real numbers, got {weight!r} for {label!r}")
        value = weight.item() if isinstance(weight, np.generic) else weight  # float16 holds nothing so large
        if not 0 <= value <= sys.float_info.max:
            raise ValueError(f"class_weight must be finite and not negative, got {weight} for {label!r}")


def check_not_balanced(class_weight):
    """Raise if the weights would have to be found from rows that are only a part of a stream."""
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight {class_weight!r} is not supported for partial_fit, which knows no class frequencies: use "
            "sklearn.utils.class_weight.compute_class_weight on a large enough sample of y, and give a dict of its weights"
        )


def class_weights(class_weight, classes):
    """The weights in a dict as (n_classes,) float64; 1 for a class without one.

    As in scikit-learn, labels that are no classes are allowed only if each class has a weight: then the rows at hand may
    lack some classes, while otherwise a label must be wrong.
    """
    weights, unknown = np.ones(len(classes)), []
    for (label, weight), code in zip(class_weight.items(), known_codes(list(class_weight), classes), strict=True):
        if code < 0:
            unknown.append(label)
        else:
            weights[code] = weight
    if unknown and len(class_weight) - len(unknown) < len(classes):
        raise ValueError(f"class_weight holds {unknown[0]!r}, which is not among the {len(classes)} classes")
    return weights


def class_factors(class_weight, classes, codes, weight):
    """(n_classes,) factors of the weights of the rows of each class, from None, "balanced", or a dict by label.

    codes, weight : the class and the row's weight of each label in training
    """
    if class_weight is None:
        return np.ones(len(classes))
    if class_weight == "balanced":
        return balanced_weights(codes, weight, len(classes))
    return class_weights(class_weight, classes)


def balanced_weights(codes, weight, n_classes):
    """(n_classes,) weights with which all classes that occur count alike; 1 for the others."""
    from sklearn.utils.class_weight import compute_class_weight

    codes, weight = codes[weight > 0], weight[weight > 0]
    present, weights = np.unique(codes), np.ones(n_classes)
    weights[present] = compute_class_weight("balanced", classes=present, y=codes, sample_weight=weight)
    return weights


def check_class_counts(counts, n_classes):
    """How often each class occurs, as float64 (n_classes,): finite, not negative, not all zero, with a finite sum."""
    counts = as_vector("class_counts", check_counts("class_counts", counts), n_classes, "class").astype(np.float64)
    check_finite_sum("class_counts", counts)
    return counts
