"""The only place that checks and converts what users pass. Kernels trust what comes out of here."""

import numbers

import numpy as np
from numpy.exceptions import AxisError

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


def check_axes(axis, ndim):
    """`axis` (None, an int or several) as a sorted tuple of axes of an array with `ndim` dimensions."""
    if axis is None:
        return tuple(range(ndim))
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
    """Integer class codes of this shape as int64, flat and contiguous; those to ignore are -1."""
    if target.dtype.kind not in "iu":
        raise TypeError(f"target must hold integer class codes or class probabilities, got an array of {target.dtype}")
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape} (logits without the classes' axis), got {target.shape}")
    ignored = target == ignore_index
    wrong = ((target < 0) | (target >= n_classes)) & ~ignored
    if wrong.any():
        where = tuple(int(i) for i in np.unravel_index(wrong.argmax(), shape))
        raise ValueError(
            f"target must be from 0 to {n_classes - 1} or ignore_index ({ignore_index}), "
            f"got {target[where]} at position {where}"
        )
    return np.where(ignored, -1, target).astype(np.int64, copy=False).ravel()


def as_class_weight(weight, n_classes):
    """Weights of the classes, (n_classes,), float64; None stays."""
    if weight is None:
        return None
    weight = as_real_array("weight", weight)
    if weight.shape != (n_classes,):
        raise ValueError(f"weight must have shape ({n_classes},), one for each class, got {weight.shape}")
    return np.ascontiguousarray(weight, dtype=np.float64)
