"""The only place that checks and converts what users pass. Kernels trust what comes out of here."""

import numbers

import numpy as np
from scipy import sparse

REAL_DTYPES = (np.float32, np.float64)


def check_int(name, value, *, minimum=None, maximum=None):
    """`value` as an int between `minimum` and `maximum`, both included."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    return int(value)


def check_real(name, value, *, minimum=None, maximum=None, above=None):
    """`value` as a finite float within [minimum, maximum] and above `above`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    value = float(value)
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    if above is not None and value <= above:
        raise ValueError(f"{name} must be above {above}, got {value}")
    return value


def check_option(name, value, options):
    """`value`, one of `options`."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def check_n_threads(n_threads):
    """None (OpenMP's default), -1 (every CPU of this process) or a positive number of threads."""
    if n_threads is None:
        return None
    n_threads = check_int("n_threads", n_threads)
    if n_threads == 0 or n_threads < -1:
        raise ValueError(f"n_threads must be None, -1 or a positive integer, got {n_threads}")
    return n_threads


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


def check_counts(name, counts):
    """`counts` as a 1-D real array: finite, non-negative, not all zero."""
    counts = as_real_array(name, counts)
    if counts.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {counts.shape}")
    bad = ~(np.isfinite(counts) & (counts >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name} must be finite and non-negative, got {name}[{i}] = {counts[i]}")
    if not counts.any():
        raise ValueError(f"{name} must have at least one positive entry, got {len(counts)} zeros")
    return counts.astype(np.float64, copy=False)


def check_class_ids(name, class_ids, n_classes):
    """`class_ids` as a 1-D int64 array of classes in [0, n_classes)."""
    class_ids = np.asarray(class_ids)
    if class_ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got an array of {class_ids.dtype}")
    if class_ids.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {class_ids.shape}")
    if len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < n_classes):
        i = int(((class_ids < 0) | (class_ids >= n_classes)).argmax())
        raise ValueError(f"{name} must be in [0, {n_classes}), got {name}[{i}] = {class_ids[i]}")
    return class_ids.astype(np.int64, copy=False)


def check_sampler(name, sampler, n_classes):
    """A candidate sampler over `n_classes` classes."""
    if not (hasattr(sampler, "draw") and hasattr(sampler, "n_classes")):
        raise TypeError(f"{name} must be the name of a sampler or have draw and n_classes, got {sampler!r}")
    if sampler.n_classes != n_classes:
        raise ValueError(f"{name} must have {n_classes} classes, got {sampler!r} with {sampler.n_classes}")
    return sampler


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
