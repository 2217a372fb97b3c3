"""Dense arrays, and the logits and targets of the functions that take them."""

import numpy as np
from numpy.exceptions import AxisError

from fastsoftmax.kernels import softmax as softmax_kernel
from fastsoftmax.validation.scalars import REAL_DTYPES, check_int


def as_real_array(name, a):
    """`a` as an array of float32 or float64: smaller floats become float32, integers and bools become float64."""
    a = np.asarray(a)
    if a.dtype in REAL_DTYPES:
        return a
    if a.dtype == np.float16:
        return a.astype(np.float32)
    if a.dtype.kind in "biu":
        return a.astype(np.float64)
    raise TypeError(f"{name} must hold real numbers (float32 or float64), got an array of {a.dtype}")


def as_int_vector(name, a):
    """`a` as a 1-D array of integers, of whatever dtype."""
    a = np.asarray(a)
    if not a.size and a.dtype == np.float64:
        a = a.astype(np.int64)  # an empty list has no integer type
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got an array of {a.dtype}")
    if a.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {a.shape}")
    return a


def as_vector(name, a, n, each):
    """`a` as a real array (n,), one number for each of what `each` names."""
    a = as_real_array(name, a)
    if a.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one number a {each}, got {a.shape}")
    return a


def check_axes(axis, ndim):
    """`axis` (None, an int or a tuple) as a sorted tuple of axes of an array with `ndim` dimensions."""
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
    """`out`, if results of this shape and dtype can be written to it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must have shape {shape} and dtype {dtype}, got {out.shape} and {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    return out


def as_weights_like(name, b, a):
    """The real arrays `a` and `b` in one dtype, broadcast against each other: views, without memory of their own."""
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
    """Class probabilities in the shape and dtype of `logits`; `ignore_index` must be negative, since it cannot apply."""
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
    """Integer class codes of this shape as int64, flat and contiguous, with -1 for those to ignore; and how many others."""
    if target.dtype.kind not in "iu":
        raise TypeError(f"target must hold integer class codes or class probabilities, got an array of {target.dtype}")
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape} (logits without the classes' axis), got {target.shape}")
    codes = np.ascontiguousarray(target, dtype=np.int64).reshape(-1)
    if not 0 <= ignore_index < n_classes and softmax_kernel.count_classes(codes, n_classes) == codes.size:
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
