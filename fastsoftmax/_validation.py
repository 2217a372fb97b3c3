"""The only place that checks and converts what users pass. Kernels trust what comes out of here."""

import numbers

import numpy as np

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
