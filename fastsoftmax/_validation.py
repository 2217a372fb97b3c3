"""The only place that checks and converts what users pass. Kernels trust what comes out of here."""

import math
import numbers
import os
import warnings

import numpy as np
from numpy.exceptions import AxisError
from scipy import sparse

from fastsoftmax import _memory, _softmax

REAL_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
MAX_THREADS = 1024  # OpenMP runtimes abort the process where they cannot start so many


def check_int(name, value, *, minimum=None, maximum=None):
    """`value` as an int between `minimum` and `maximum`, both included."""
    if type(value) is not int and (isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    return int(value)


def check_real(name, value, *, minimum=None, maximum=None, above=None):
    """`value` as a finite float within [minimum, maximum] and above `above`."""
    if type(value) is not float and (isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    if above is not None and value <= above:
        raise ValueError(f"{name} must be above {above}, got {value}")
    return value


def check_bool(name, value):
    """True or False, of Python or NumPy."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_option(name, value, options):
    """`value`, one of `options`."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def check_dtype(name, dtype):
    """float32 or float64, by name or as a numpy dtype."""
    try:
        known = dtype is not None and np.dtype(dtype) in REAL_DTYPES
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"{name} must be float32 or float64, got {dtype!r}")


def check_n_threads(n_threads):
    """None (OpenMP's default), -1 (every CPU of this process) or a positive number of threads."""
    if n_threads is None:
        return None
    n_threads = check_int("n_threads", n_threads)
    if n_threads == 0 or n_threads < -1 or n_threads > MAX_THREADS:
        raise ValueError(f"n_threads must be None, -1 or an integer from 1 to {MAX_THREADS}, got {n_threads}")
    return n_threads


def check_start(coef_init, intercept_init, direct, shape, dtype):
    """Sparse weights (CSC) and bias to begin training with, each None where it is not given."""
    if coef_init is None and intercept_init is None:
        return None, None
    if coef_init is None or direct != "sparse":
        given = "intercept_init without coef_init" if coef_init is None else f"direct={direct!r}"
        raise ValueError(f"coef_init needs direct='sparse', and intercept_init needs coef_init, got {given}")
    if not sparse.issparse(coef_init):
        raise TypeError(f"coef_init must be a scipy.sparse matrix, got {type(coef_init).__name__}")
    with np.errstate(over="ignore"):
        W = check_sparse_W(coef_init.astype(dtype), name="coef_init")
    if W.shape != shape:
        raise ValueError(f"coef_init must have shape {shape}, (classes in y, features), got {W.shape}")
    bias = check_bias(intercept_init, shape[0], dtype, name="intercept_init")
    if bias is not None and not np.isfinite(bias).all():
        raise ValueError(f"intercept_init must be finite, got {bias[~np.isfinite(bias)][0]}")
    return W, bias


def check_same_terms(classifier, model):
    """Raise where parameters set since the first training want a low-rank term of other columns."""
    n_columns = None if model.E is None else len(model.E)
    wanted = classifier.n_hidden_features or classifier.n_features_in_
    if n_columns not in (None, wanted):
        raise ValueError(
            f"n_hidden_features must stay as it was in the first training, {n_columns} columns, got {wanted}"
        )


def check_row_norms(X):
    """The mean squared length of the rows of `X`, which sets the steps of a sparse direct term; 1 where all are zeros."""
    values = X if isinstance(X, np.ndarray) else X.data
    mean = float(np.square(values, dtype=np.float64).sum()) / X.shape[0]
    if mean and not 1e-30 < mean < 1e30:
        raise ValueError(
            f"the rows of X have a mean squared length of {mean:g}: scale them (sklearn.preprocessing.normalize)"
        )
    return mean or 1.0


def check_calibration_rows(n_rows, least):
    """Raise where factors fitted on so few rows would do more harm than good."""
    if n_rows < least:
        raise ValueError(f"X must have at least {least} rows to calibrate on, got {n_rows}")


def check_calibration(fraction, direct):
    """Raise where rows are to be held out for a term that is not calibrated; `direct` is what "auto" stands for."""
    if fraction and direct == "dense":
        raise ValueError(
            f"calibration_fraction must be 0 or 'auto' with direct='dense', got {fraction}: only sparse and low-rank terms "
            "are calibrated"
        )


def check_joint(joint, direct, hidden_size, direct_learning_rate, loss, class_alpha):
    """Whether terms train on the loss of their sum: both must be there. ("auto" for hidden_size is None beside them.)"""
    check_bool("joint", joint)
    if joint and (direct != "sparse" or hidden_size in (None, "auto")):
        raise ValueError(
            "joint=True needs direct='sparse' and a hidden_size that is an int, "
            f"got direct={direct!r} and hidden_size={hidden_size!r}"
        )
    if joint and direct_learning_rate == 0:
        raise ValueError("direct_learning_rate must be above 0 with joint=True, got 0")
    if joint and loss not in ("auto", "softmax", "sampled_softmax"):
        raise ValueError(f"loss must be 'softmax', 'sampled_softmax' or 'auto' with joint=True, got {loss!r}")
    if joint and class_alpha not in ("auto", None):
        raise ValueError(
            f"class_alpha must be None or 'auto' with joint=True, which does not use it, got {class_alpha!r}"
        )


def check_gradient_threshold(value, label_smoothing=0.0):
    """`value` as a float from 0 to below 1."""
    value = check_real("gradient_threshold", value, minimum=0)
    if value >= 1:
        raise ValueError(f"gradient_threshold must be below 1, got {value}")
    if value and label_smoothing:
        raise ValueError("gradient_threshold and label_smoothing exclude each other: smoothed gradients have no zeros")
    return value


def check_rng(name, rng):
    """A numpy Generator from None, a seed, a RandomState or a Generator."""
    if isinstance(rng, np.random.RandomState):
        return np.random.default_rng(rng.randint(np.iinfo(np.int32).max))
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be None, an int seed or a numpy random generator, got {rng!r}") from None


def as_real_array(name, a):
    """`a` as an array of float32 or float64: smaller floats become float32, integers and bools float64."""
    a = np.asarray(a)
    if a.dtype in REAL_DTYPES:
        return a
    if a.dtype == np.float16:
        return a.astype(np.float32)
    if a.dtype.kind in "biu":
        return a.astype(np.float64)
    raise TypeError(f"{name} must hold real numbers (float32 or float64), got an array of {a.dtype}")


# -- linear models: X, W, bias, targets --


def _contiguous(a, dtype):
    """`a` in C order as `dtype`; a value beyond its range becomes infinite, for the check that follows to report."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(a, dtype=dtype)


def _first_non_finite(values):
    """Position of the first NaN or infinity of a flat array, or None."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):  # one pass without a temporary settles nearly all
            return None
    bad = np.flatnonzero(~np.isfinite(values))
    return int(bad[0]) if bad.size else None


def check_X(X, *, n_features=None, dtype=None, name="X", canonical=False):
    """`X` as a C-contiguous 2-D array or a CSR matrix with valid indices, of `dtype` (default: its own), all finite.

    Duplicate and unsorted column indices are fine, since the kernels add entries up; `canonical`: there are none.
    """
    if sparse.issparse(X):
        X = _check_csr(X, dtype, name)
        if canonical and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        values = X.data
    else:
        X = as_real_array(name, X)
        if X.ndim != 2:
            raise ValueError(f"{name} must be 2-D (n_samples, n_features), got {X.ndim}-D of shape {X.shape}")
        X = _contiguous(X, dtype)
        values = X.reshape(-1)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} has {X.shape[1]} features, but {n_features} are expected")
    at = _first_non_finite(values)
    if at is not None:
        row = int(np.searchsorted(X.indptr, at, side="right")) - 1 if sparse.issparse(X) else at // X.shape[1]
        column = int(X.indices[at]) if sparse.issparse(X) else at % X.shape[1]
        raise ValueError(f"{name} must be finite, got {values[at]} in row {row}, column {column}")
    return X


def _check_csr(X, dtype, name):
    if X.ndim != 2:
        raise ValueError(f"{name} must be 2-D (n_samples, n_features), got shape {X.shape}")
    if X.dtype.kind not in "biuf" or X.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold real numbers (float32 or float64), got a sparse matrix of {X.dtype}")
    X = X.tocsr()
    if dtype is None:
        dtype = X.dtype if X.dtype in REAL_DTYPES else (np.float32 if X.dtype == np.float16 else np.float64)
    indptr, indices = X.indptr, X.indices
    for part, a in (("indptr", indptr), ("indices", indices)):
        if a.dtype not in (np.int32, np.int64):
            raise TypeError(f"{name}.{part} must hold int32 or int64, got an array of {a.dtype}")
    if (
        indptr.shape != (X.shape[0] + 1,)
        or indptr[0] != 0
        or indptr[-1] > indices.shape[0]
        or (np.diff(indptr) < 0).any()
    ):
        raise ValueError(f"{name}.indptr does not describe {X.shape[0]} rows of {indices.shape[0]} entries")
    if indices.shape != X.data.shape:
        raise ValueError(f"{name}.indices has {indices.shape[0]} entries, but {name}.data {X.data.shape[0]}")
    if indices.size and (indices.min() < 0 or indices.max() >= X.shape[1]):
        bad = indices.min() if indices.min() < 0 else indices.max()
        raise ValueError(f"{name}.indices must be in [0, {X.shape[1]}), got {bad}")
    is_contiguous = all(a.flags.c_contiguous for a in (indptr, indices, X.data))
    if X.dtype == dtype and indptr.dtype == indices.dtype and is_contiguous:
        return X
    index_dtype = np.promote_types(indptr.dtype, indices.dtype)
    data = _contiguous(X.data, dtype)
    return type(X)(
        (data, np.ascontiguousarray(indices, index_dtype), np.ascontiguousarray(indptr, index_dtype)), shape=X.shape
    )


def check_W(W, *, name="W"):
    """`W` (n_classes, n_features) as it is (float32 or float64, any strides), copied only if it has to be converted."""
    W = np.require(as_real_array(name, W), requirements="A")
    if W.ndim != 2 or W.shape[0] < 1:
        raise ValueError(f"{name} must be 2-D (n_classes, n_features) with at least one class, got shape {W.shape}")
    return W


def check_sparse_W(W, *, name="W"):
    """The sparse `W` as CSC, float32 or float64, finite, with sorted and distinct class ids in each column."""
    if W.ndim != 2 or not 1 <= W.shape[0] <= np.iinfo(np.int32).max:
        raise ValueError(f"{name} must be 2-D with 1 to 2**31 - 1 classes (n_classes, n_features), got shape {W.shape}")
    W = W.tocsc()
    by_feature = sparse.csr_array(W.shape[::-1], dtype=W.dtype)  # CSC is the transpose in CSR
    by_feature.data, by_feature.indices, by_feature.indptr = W.data, W.indices, W.indptr
    checked = _check_csr(by_feature, None, name)
    W = sparse.csc_array((checked.data, checked.indices, checked.indptr), shape=W.shape)  # which knows of no order yet
    if not W.has_canonical_format:
        W = W.copy()
        W.sum_duplicates()
    at = _first_non_finite(W.data[: W.indptr[-1]])
    if at is not None:
        feature = int(np.searchsorted(W.indptr, at, side="right")) - 1
        raise ValueError(f"{name} must be finite, got {W.data[at]} for class {W.indices[at]}, feature {feature}")
    return W


def check_bias(bias, n_classes, dtype, *, name="bias"):
    """`bias` as a contiguous (n_classes,) array of `dtype`, or None."""
    if bias is None:
        return None
    bias = as_real_array(name, bias)
    if bias.shape != (n_classes,):
        raise ValueError(f"{name} must have shape ({n_classes},), one number a class, got {bias.shape}")
    return np.ascontiguousarray(bias, dtype=dtype)


def check_class_weight(weight, n_classes):
    """`weight` as float64 (n_classes,), finite and not negative, or None."""
    if weight is None:
        return None
    weight = as_real_array("weight", weight).astype(np.float64)
    if weight.shape != (n_classes,):
        raise ValueError(f"weight must have shape ({n_classes},), one number a class, got {weight.shape}")
    if not (np.isfinite(weight) & (weight >= 0)).all():
        bad = int(np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))[0])
        raise ValueError(f"weight must be finite and not negative, got {weight[bad]} for class {bad}")
    return weight


def check_target(target, n_samples, n_classes, *, ignore_index=None, name="target"):
    """Class codes as contiguous int64 (n_samples,); -1 where they equal `ignore_index`."""
    target = np.asarray(target)
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integer class codes, got an array of {target.dtype}")
    if target.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), one class code a row of X, got {target.shape}")
    ignored = np.zeros(n_samples, bool) if ignore_index is None else target == ignore_index
    bad = np.flatnonzero(~ignored & ((target < 0) | (target >= n_classes)))
    if bad.size:
        raise ValueError(f"{name} must be in [0, {n_classes}), got {target[bad[0]]} at position {bad[0]}")
    return np.where(ignored, -1, target.astype(np.int64))


def is_one_a_row(target):
    """Whether `target` is to be one class a row, rather than several."""
    return not sparse.issparse(target) and np.ndim(target) != 2


def check_true_classes(target, n_samples, n_classes, *, name="target"):
    """Several classes a row, as codes (n_samples, num_true) or sparse masses (n_samples, n_classes).

    Returns
    -------
    masses : CSR of float64, canonical, all above 0, each row of sum 1
    shape : tuple, of numbers that are given for each code or (canonical) mass
    places : (nnz,) where that for each element is among them, flat
    """
    if not sparse.issparse(target):
        return _check_code_lists(target, n_samples, n_classes, name)
    if target.shape != (n_samples, n_classes):
        raise ValueError(f"{name} must have shape ({n_samples}, {n_classes}), a mass a class, got {target.shape}")
    masses = sparse.csr_array(_check_csr(target, np.float64, name), copy=True)
    masses.sum_duplicates()
    rows = np.repeat(np.arange(n_samples), np.diff(masses.indptr))
    bad = np.flatnonzero(~(np.isfinite(masses.data) & (masses.data >= 0)))
    if bad.size:
        raise ValueError(f"{name} must be finite and not negative, got {masses.data[bad[0]]} in row {rows[bad[0]]}")
    totals = np.bincount(rows, weights=masses.data, minlength=n_samples)
    if not totals.all():
        raise ValueError(f"{name} must have a mass above 0 in each row, got none in row {int(totals.argmin())}")
    masses.data /= totals[rows]
    shape, places = masses.data.shape, np.flatnonzero(masses.data)
    masses.eliminate_zeros()
    return masses, shape, places


def _check_code_lists(target, n_samples, n_classes, name):
    target = np.asarray(target)
    if target.shape[0] != n_samples or target.shape[1] == 0:
        raise ValueError(f"{name} must have shape ({n_samples}, num_true), num_true >= 1, got {target.shape}")
    codes = check_target(target.reshape(-1), target.size, n_classes, name=name)
    elements = np.repeat(np.arange(n_samples), target.shape[1]) * n_classes + codes
    elements, places, counts = np.unique(elements, return_index=True, return_counts=True)
    indptr = np.searchsorted(elements, np.arange(n_samples + 1) * n_classes)
    masses = sparse.csr_array((counts / target.shape[1], elements % n_classes, indptr), shape=(n_samples, n_classes))
    return masses, target.shape, places


def check_documents(ids, starts, n_classes=None):
    """Tokens of documents laid end to end (signed integers, from 0 to below `n_classes`), and where each begins (int64).

    Empty documents are fine. Tokens stay in their own type where it is signed.
    """
    ids = _as_int_vector("ids", ids)
    if ids.dtype.kind == "u":
        if ids.dtype.itemsize == 8 and len(ids) and ids.max() > np.iinfo(np.int64).max:
            raise ValueError(f"ids must be below 2**63, got {ids.max()} at position {ids.argmax()}")
        ids = ids.astype(np.int64)
    if len(ids) and ids.min() < 0:
        raise ValueError(f"ids must not be negative, got {ids.min()} at position {ids.argmin()}")
    if n_classes is not None and len(ids) and ids.max() >= n_classes:
        raise ValueError(f"ids must be below n_classes ({n_classes}), got {ids.max()} at position {ids.argmax()}")
    starts = _as_int_vector("starts", starts).astype(np.int64, copy=False)
    if len(ids) and (not len(starts) or starts[0] != 0):
        raise ValueError(f"starts must begin with 0, got {starts[0] if len(starts) else 'no starts'}")
    descents = np.flatnonzero(np.diff(starts) < 0)
    if len(descents):
        i = int(descents[0]) + 1
        raise ValueError(f"starts must not descend, got {starts[i]} at position {i} after {starts[i - 1]}")
    if len(starts) and not (starts[0] >= 0 and starts[-1] <= len(ids)):
        raise ValueError(f"starts must be from 0 to the number of tokens ({len(ids)}), got {starts[[0, -1]].tolist()}")
    return ids, starts


def _as_int_vector(name, a):
    a = np.asarray(a)
    if not a.size and a.dtype == np.float64:
        a = a.astype(np.int64)  # an empty list has no integer type
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got an array of {a.dtype}")
    if a.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {a.shape}")
    return a


def check_discounts(discounts, order):
    """Discounts of n-grams counted once, twice, and oftener, as float64 (order, 3), or None."""
    if discounts is None:
        return None
    discounts = as_real_array("discounts", discounts).astype(np.float64)
    if discounts.shape not in [(3,), (order, 3)]:
        raise ValueError(f"discounts must be of shape (3,) or (order, 3) = ({order}, 3), got {discounts.shape}")
    if not np.all((discounts > 0) & (discounts <= [1, 2, 3])):
        raise ValueError(f"discounts must be above 0 and at most 1, 2, 3, got {discounts.tolist()}")
    return np.broadcast_to(discounts, (order, 3))


def check_chunk(name, chunk):
    """`check_documents` of one of the chunks of a stream."""
    if not isinstance(chunk, (tuple, list)) or len(chunk) != 2:
        raise TypeError(f"{name} must give pairs (ids, starts), got {chunk!r}")
    return check_documents(*chunk)


def check_repeatable(name, values):
    """A function that gives an iterator over `values`, from the beginning each time."""
    if callable(values):
        return values
    try:
        if iter(values) is not values:
            return values.__iter__
    except TypeError:
        pass
    raise TypeError(
        f"{name} must be a list or a function that returns an iterator, to be gone through several times, got {values!r}"
    )


def check_same_rows(name, n_before, n_now):
    """Raise unless an iteration gave as many rows as the one before (None: there was none)."""
    if n_before is not None and n_now != n_before:
        raise ValueError(f"{name} must give the same tokens each time, got {n_before} and then {n_now}")


def check_codes(name, y, n_samples, n_classes=None):
    """`y` as int64 (n_samples,) class codes in [0, n_classes), at most 2**31 - 1; None for `n_classes`: there are codes."""
    if n_classes is None:
        n_classes = np.iinfo(np.int32).max
        if n_samples == 0:
            raise ValueError(f"{name} must not be empty where n_classes is not given")
    else:
        n_classes = check_int("n_classes", n_classes, minimum=1, maximum=np.iinfo(np.int32).max)
    return check_target(y, n_samples, n_classes, name=name)


def check_writable(name, path):
    """A path where a file can be written: told before the work whose result goes there."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name} cannot be {str(path)!r}: {folder} is not a folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(f"{name} cannot be {str(path)!r}: it is there, and not a file")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{name} cannot be {str(path)!r}: {folder} cannot be written to")


def check_memory(what, n_bytes, formula):
    """MemoryError unless `n_bytes` are there, saying what needs them and how they add up."""
    free = _memory.available()
    if free is not None and n_bytes > free:
        raise MemoryError(
            f"{what} needs {n_bytes / 2**30:.2f} GiB ({formula}), but only {free / 2**30:.2f} GiB are available"
        )


# -- labels --


def check_labels(y, *, X_rows=None, name="y"):
    """`y` as a 1-D array of integers, bools or strings, one label a row."""
    given, y = y, np.asarray(y)
    if y.dtype.kind in "US" and not hasattr(given, "dtype"):
        y = np.array(given, dtype=object)  # NumPy would make strings of numbers among strings
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label a row, got shape {y.shape}")
    if X_rows is not None and len(y) != X_rows:
        raise ValueError(f"{name} has {len(y)} labels, but X has {X_rows} rows")
    if y.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(y) | (y != np.floor(y)))
        if bad.size:
            raise ValueError(f"{name} must hold class labels, got {y[bad[0]]} at position {bad[0]}")
        return y
    if y.dtype.kind == "O":
        kinds = {type(label) for label in y}
        for base, dtype in ((str, str), (numbers.Integral, np.int64)):
            if all(issubclass(kind, base) for kind in kinds):
                return y.astype(dtype)
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"{name} must hold either integers or strings, got objects of {names}")
    if y.dtype.kind not in "biuU":
        raise TypeError(f"{name} must hold integers, bools or strings, got an array of {y.dtype}")
    return y


def check_sample_weight(sample_weight, n_samples):
    """Weights of mean 1, float64 (n_samples,); ones where None."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = as_real_array("sample_weight", sample_weight).astype(np.float64)
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), one number a row of X, got {weight.shape}")
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if bad.size:
        raise ValueError(f"sample_weight must be finite and not negative, got {weight[bad[0]]} at position {bad[0]}")
    if not weight.any():
        raise ValueError("sample_weight must not be all zero")
    return weight / weight.mean()


def check_classes(classes, *, name="y"):
    """At least two labels."""
    if len(classes) < 2:
        raise ValueError(f"{name} must hold at least two classes, got {len(classes)}: {classes.tolist()}")


def encode_labels(y, classes, *, unknown=None):
    """Positions of labels `y` in sorted `classes`; `unknown` for others, or ValueError where that is None."""
    try:
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    except TypeError:
        raise TypeError(f"y holds labels of {y.dtype}, but the classes are {classes.dtype}") from None
    missing = classes[codes] != y
    if unknown is None and missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise ValueError(f"y holds {y[at]!r} at position {at}, which is not among the {len(classes)} classes")
    return np.where(missing, unknown, codes) if missing.any() else codes


def check_n_negatives(n_negatives, n_classes):
    """Sampling must be cheaper than the full softmax that it stands for."""
    if n_negatives >= n_classes:
        raise ValueError(
            f"n_negatives must be below the number of classes ({n_classes}), got {n_negatives}: "
            "loss='softmax' is exact and costs no more"
        )


def check_counts(name, counts):
    """`counts` as a 1-D array of float32 or float64: finite, non-negative, not all zero."""
    counts = as_real_array(name, counts)
    if counts.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {counts.shape}")
    bad = ~(np.isfinite(counts) & (counts >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name} must be finite and non-negative, got {name}[{i}] = {counts[i]}")
    if not counts.any():
        raise ValueError(f"{name} must have at least one positive entry, got {len(counts)} zeros")
    return counts


def check_falling(name, counts, n_classes):
    """`check_counts` of `n_classes` classes; UserWarning where they rise."""
    counts = check_counts(name, counts)
    if len(counts) != n_classes:
        raise ValueError(f"{name} must have n_classes ({n_classes}) entries, got {len(counts)}")
    rises = counts[1:] > counts[:-1]
    if rises.any():
        k = int(rises.argmax()) + 1
        warnings.warn(
            f"{name} must fall for a log-uniform sampler, but class {k} was seen more often ({counts[k]:g}) than class "
            f"{k - 1} ({counts[k - 1]:g}): number the classes by falling frequency, or sample by Unigram",
            UserWarning,
            stacklevel=3,
        )


def check_counted(name, target, probabilities):
    """Raise where one of these classes has a probability of zero."""
    if not probabilities.all():
        k = target[probabilities.argmin()]
        raise ValueError(f"{name} must hold classes that InBatch was given a positive count for, got {k}")


def check_class_ids(name, class_ids, n_classes):
    """`class_ids` as a 1-D int64 array of classes in [0, n_classes)."""
    class_ids = _as_int_vector(name, class_ids)
    if len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < n_classes):
        i = int(((class_ids < 0) | (class_ids >= n_classes)).argmax())
        raise ValueError(f"{name} must be in [0, {n_classes}), got {name}[{i}] = {class_ids[i]}")
    return class_ids.astype(np.int64, copy=False)


def check_given(name, value, loss):
    """`value`, which this loss needs."""
    if value is None:
        raise ValueError(f"{name} must be given for loss={loss!r}, got None")
    return value


def check_log_expected_counts(name, values, classes, classes_name):
    """`values` as float64, one finite number for each of `classes`: an array, or the shape of one."""
    values = as_real_array(name, values).astype(np.float64)
    shape = getattr(classes, "shape", classes)
    if values.shape != shape:
        raise ValueError(f"{name} must have the shape of {classes_name}, {shape}, got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"{name} must be finite, got {values.flat[bad[0]]} at position {bad[0]}")
    return values


def check_sampler(name, sampler, n_classes, loss=None):
    """A candidate sampler over `n_classes` classes; for `loss`, if given, it knows how often any class is expected."""
    if not (hasattr(sampler, "draw") and hasattr(sampler, "n_classes")):
        raise TypeError(f"{name} must be the name of a sampler or have draw and n_classes, got {sampler!r}")
    if sampler.n_classes != n_classes:
        raise ValueError(f"{name} must have {n_classes} classes, got {sampler!r} with {sampler.n_classes}")
    if loss is not None and not hasattr(sampler, "log_expected_counts"):
        raise TypeError(
            f"{name} must have log_expected_counts(class_ids, n) for loss={loss!r}, which needs it for a row's own class, "
            f"got {sampler!r}"
        )
    if loss is not None and getattr(sampler, "_n_drawable", n_classes) < n_classes:
        raise ValueError(
            f"{name} must draw any class sometimes for loss={loss!r}, or rows of that class teach nothing, "
            f"got {sampler!r} with {n_classes - sampler._n_drawable} classes of probability 0"
        )
    return sampler


def check_followed(name, sampler, has_hidden):
    """Raise where a sampler is to follow a model that has nothing dense to draw by."""
    if sampler.follows_model and not has_hidden:
        raise ValueError(
            f"{name} must not be one that follows the model where that has no low-rank term and X is sparse: "
            f"it draws by a hidden layer or dense X, got {sampler!r}"
        )


def check_samplers(name, samplers, kind):
    """A tuple of samplers of class `kind` over the same classes."""
    if isinstance(samplers, kind) or not np.iterable(samplers) or isinstance(samplers, str):
        raise TypeError(f"{name} must be a sequence of samplers, got {samplers!r}")
    samplers = tuple(samplers)
    if not samplers:
        raise ValueError(f"{name} must hold at least one sampler, got none")
    for sampler in samplers:
        if not isinstance(sampler, kind):
            raise TypeError(f"{name} must hold samplers of fastsoftmax.samplers, got {sampler!r}")
        if sampler.n_classes != samplers[0].n_classes:
            raise ValueError(f"{name} must have the same classes, got {samplers[0].n_classes} and {sampler.n_classes}")
    return samplers


def check_shares(name, shares, n):
    """`n` positive numbers as floats that sum to 1; equal ones where None."""
    shares = np.ones(n) if shares is None else as_real_array(name, shares).astype(np.float64)
    if shares.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one number a sampler, got {shares.shape}")
    if not (np.isfinite(shares) & (shares > 0)).all():
        raise ValueError(f"{name} must be finite and positive, got {shares.tolist()}")
    shares = shares / shares.max()
    return tuple((shares / shares.sum()).tolist())


def check_unique(name, sampler, n_batches):
    """Raise where different classes are asked of a sampler that gives a batch's targets as they are."""
    if n_batches:
        raise ValueError(f"{name} must be False for a batch's own targets, which may repeat, got True for {sampler!r}")


def check_same_length(name, a, other_name, other):
    """Raise unless the two arrays have as many rows."""
    if a.shape[0] != other.shape[0]:
        raise ValueError(f"{name} must have as many rows as {other_name}, got {a.shape[0]} and {other.shape[0]}")


def check_log_proba(name, log_proba):
    """`log_proba` as a non-empty 1-D real array without NaN and +inf; -inf is a probability of 0."""
    log_proba = as_real_array(name, log_proba)
    if log_proba.ndim != 1 or not len(log_proba):
        raise ValueError(f"{name} must have one dimension and at least one entry, got shape {log_proba.shape}")
    bad = ~(log_proba < np.inf)
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name} must not hold NaN or +inf, got {log_proba[i]} at index {i}")
    return log_proba


def check_true_labels(name, y):
    """One label a row as a 1-D array, or several as a CSR indicator in canonical form; at least one row."""
    if sparse.issparse(y):
        y = sparse.csr_array(y, copy=True)
        y.sum_duplicates()
        y.eliminate_zeros()
    else:
        y = np.asarray(y)
        if y.ndim != 1:
            raise ValueError(f"{name} must have one dimension or be a sparse indicator, got shape {y.shape}")
    if not y.shape[0]:
        raise ValueError(f"{name} must have at least one row, got none")
    return y


def check_topk(name, topk, y, *, min_columns):
    """Predicted labels of each row, 2-D, comparable with the checked true labels `y`."""
    topk = np.asarray(topk)
    if topk.ndim != 2 or topk.shape[1] < min_columns:
        raise ValueError(f"{name} must have two dimensions and at least {min_columns} columns, got shape {topk.shape}")
    check_same_length(name, topk, "y", y)
    if sparse.issparse(y):
        if topk.dtype.kind not in "iu":
            raise TypeError(f"{name} must hold column indices of the indicator y, got an array of {topk.dtype}")
        if topk.size and not (topk.min() >= -1 and topk.max() < y.shape[1]):
            bad = topk[(topk < -1) | (topk >= y.shape[1])][0]
            raise ValueError(f"{name} must hold column indices of y in [0, {y.shape[1]}), or -1 as padding, got {bad}")
        return topk.astype(np.int64, copy=False)
    kinds = {topk.dtype.kind, y.dtype.kind}
    if "U" in kinds and not kinds <= {"U", "O"}:
        raise TypeError(f"{name} and y must hold labels of the same kind, got arrays of {topk.dtype} and {y.dtype}")
    return topk


def check_axes(axis, ndim):
    """`axis` (None, an int or several) as a sorted tuple of axes of an array with `ndim` dimensions."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:  # nearly every call
        return (axis % ndim,)
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(check_int("axis", a) for a in axes)
    for a in axes:
        if not -ndim <= a < ndim:
            raise AxisError(a, ndim, "axis")
    axes = tuple(sorted(a % ndim for a in axes))
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis must not name a dimension twice, got {axis}")
    return axes


def check_out(out, shape, dtype):
    """`out`, an array that results of this shape and dtype can be written to."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must have shape {shape} and dtype {dtype}, got {out.shape} and {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    return out


def as_weights_like(name, b, a):
    """The real arrays `a` and `b` in one dtype, broadcast against each other (views without memory of their own)."""
    scalar = isinstance(b, (bool, int, float))
    b = np.asarray(b, dtype=a.dtype) if scalar else as_real_array(name, b)
    dtype = np.result_type(a, b)
    try:
        return np.broadcast_arrays(a.astype(dtype, copy=False), b.astype(dtype, copy=False))
    except ValueError:
        raise ValueError(f"{name} of shape {b.shape} does not broadcast against an array of shape {a.shape}") from None


def as_logits(logits):
    """`logits` as a real array (C,), (N, C) or (N, C, ...) with at least one class."""
    logits = as_real_array("logits", logits)
    if logits.ndim == 0:
        raise ValueError("logits must have at least one dimension, that of the classes, got a scalar")
    if logits.shape[min(logits.ndim - 1, 1)] == 0:
        raise ValueError(f"logits must have at least one class, got shape {logits.shape}")
    return logits


def as_class_probabilities(target, logits, ignore_index):
    """Class probabilities in the shape and dtype of `logits`; there is no class code among them to ignore."""
    if target.shape == logits.shape:
        if ignore_index >= 0:
            raise ValueError(f"ignore_index must be negative when target holds class probabilities, got {ignore_index}")
        return target.astype(logits.dtype, copy=False)
    if target.ndim == logits.ndim - 1:
        raise TypeError(f"target must hold integer class codes, got an array of {target.dtype}")
    raise ValueError(
        f"target must have the shape of logits to hold class probabilities, {logits.shape}, got {target.shape}"
    )


def as_class_targets(target, shape, n_classes, ignore_index):
    """Integer class codes of this shape as int64, flat and contiguous; those to ignore are -1. And how many are not."""
    if target.dtype.kind not in "iu":
        raise TypeError(f"target must hold integer class codes or class probabilities, got an array of {target.dtype}")
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape} (logits without the classes' axis), got {target.shape}")
    codes = np.ascontiguousarray(target, dtype=np.int64).reshape(-1)
    if not 0 <= ignore_index < n_classes and _softmax.count_classes(codes, n_classes) == codes.size:
        return codes, codes.size  # nearly every call
    ignored = (target == ignore_index).reshape(-1)
    wrong = ((codes < 0) | (codes >= n_classes)) & ~ignored
    if wrong.any():
        where = tuple(int(i) for i in np.unravel_index(wrong.argmax(), shape))
        raise ValueError(
            f"target must be from 0 to {n_classes - 1} or ignore_index ({ignore_index}), "
            f"got {target[where]} at position {where}"
        )
    return np.where(ignored, -1, codes), codes.size - np.count_nonzero(ignored)
