"""Dense arrays, and the logits and targets of the functions that take them."""

import numpy as np
from numpy.exceptions import AxisError
from scipy import sparse

from fastsoftmax.kernels import softmax as softmax_kernel
from fastsoftmax.validation.foreign import as_known, is_table
from fastsoftmax.validation.scalars import REAL_DTYPES, check_int


def check_unmasked(name, a):
    """Raise if `a` is a masked array, or a list of some, with a masked element, which NumPy would take as any other."""
    rows = a if isinstance(a, (list, tuple)) and np.ma.MaskedArray in set(map(type, a)) else (a,)
    for row in rows:
        if isinstance(row, np.ma.MaskedArray) and np.ma.is_masked(row):
            raise ValueError(
                f"{name} must have no masked elements, got {np.ma.count_masked(row)}: fill or leave them out"
            )


def as_array(name, a):
    """`a`, of whatever library, as an array of whatever dtype; ValueError if it is masked or ragged."""
    if type(a) is np.ndarray:  # nearly every call
        return a
    check_unmasked(name, a)
    given, a = a, as_known(name, a)
    if sparse.issparse(a):
        if not is_table(given):
            raise TypeError(f"{name} must be a dense array, got a {type(a).__name__}")
        a = a.toarray()
    try:
        return np.asarray(a)
    except ValueError as error:
        raise ValueError(f"{name} is no array: {error}") from None


def native(a, dtype=None):
    """`a` in C order, aligned and in this machine's byte order, as kernels need it; it is copied only where it must be.

    A number beyond `dtype` becomes infinite, for the caller to report.
    """
    is_of_type = a.dtype.isnative if dtype is None else a.dtype == dtype
    if is_of_type and a.flags.c_contiguous and a.flags.aligned:  # nearly every call
        return a
    return _required(a, a.dtype.newbyteorder("=") if dtype is None else dtype, ("C", "A"))


def _required(a, dtype, requirements):
    with np.errstate(over="ignore", under="ignore"):
        return np.require(a, dtype, requirements)


def real_dtype(dtype):
    """float32 or float64, whichever numbers of `dtype` become: smaller floats become float32, all others float64."""
    small = dtype.kind == "f" and dtype.itemsize <= 4
    return REAL_DTYPES[0] if small else REAL_DTYPES[1]


def as_real_array(name, a):
    """`a` as an aligned array of float32 or float64, in any strides; see `real_dtype`."""
    a = as_array(name, a)
    if a.dtype in REAL_DTYPES and a.flags.aligned:  # nearly every call
        return a
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers (float32 or float64), got an array of {a.dtype}")
    return _converted(name, a, _required(a, real_dtype(a.dtype), ("A",)))


def as_dtype(name, a, dtype):
    """The real array `a` in C order and `dtype`; ValueError where a finite number is beyond it."""
    return _converted(name, a, native(a, dtype))


def _converted(name, a, converted):
    """`converted`, which is `a` in another dtype; ValueError where a finite number of `a` has become infinite."""
    if a.dtype.kind == "f" and a.dtype.itemsize > converted.dtype.itemsize:
        lost = np.isinf(converted) & np.isfinite(a)
        if lost.any():
            at = tuple(int(i) for i in np.argwhere(lost)[0])
            raise ValueError(f"{name} must be finite in {converted.dtype}, got {a[at]!s} at position {at}")
    return converted


def as_int_array(name, a, what="integers"):
    """`a` as an array of integers, of whatever type and shape; `what` they are, for the error."""
    integers = as_array(name, a)
    if not integers.size and integers.dtype == np.float64:
        integers = integers.astype(np.int64)  # an empty list has no integer type
    if integers.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold {what}, got an array of {integers.dtype}")
    if isinstance(a, (list, tuple)) and _holds_bools(a):
        raise TypeError(f"{name} must hold {what}, got bools among them")  # of which NumPy makes 0 and 1
    return integers


def _holds_bools(a):
    kinds = set(map(type, a))
    return bool(kinds & {bool, np.bool_}) or (bool(kinds & {list, tuple}) and any(map(_holds_bools, a)))


def as_int_vector(name, a):
    """`a` as an aligned 1-D array of signed integers: of its own type, or int64 if that is unsigned."""
    a = as_int_array(name, a)
    if a.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {a.shape}")
    if a.dtype.kind == "i":
        return native(a)
    if a.size and a.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must be below 2**63, got {a.max()} at position {a.argmax()}")
    return native(a, np.int64)


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


def check_out(out, shape, dtype, name="out"):
    """`out`, if results of this shape and dtype can be written to it."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a numpy array, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"{name} must have shape {shape} and dtype {dtype}, got {out.shape} and {out.dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{name} must be writable, got a read-only array")
    return out


def as_weights_like(name, b, a):
    """The real arrays `a` and `b` in one dtype, broadcast against each other: views, without memory of their own."""
    scalar = isinstance(b, (bool, int, float))
    b = as_real_array(name, b)
    if scalar:  # it has no dtype of its own
        b = as_dtype(name, b, a.dtype)
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
        return as_dtype("target", target, logits.dtype)
    if target.ndim == logits.ndim - 1:
        raise TypeError(f"target must hold integer class codes, got an array of {target.dtype}")
    raise ValueError(
        f"target must have the shape of logits to hold class probabilities, {logits.shape}, got {target.shape}"
    )


def as_class_targets(target, shape, n_classes, ignore_index):
    """Integer class codes of this shape as int64, flat and contiguous, with -1 for those to ignore; and how many others."""
    target = as_int_array("target", target, "integer class codes or class probabilities")
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape} (logits without the classes' axis), got {target.shape}")
    codes = native(target, np.int64).reshape(-1)
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
