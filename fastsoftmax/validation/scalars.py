"""Numbers, options, data types and random generators."""

import math
import numbers
import os

import numpy as np

from fastsoftmax.runtime.threads import MAX_THREADS

REAL_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
INT64 = np.iinfo(np.int64)


def check_int(name, value, *, minimum=INT64.min, maximum=INT64.max):
    """`value` as an int between `minimum` and `maximum`, both included; C has no larger ones than these."""
    if type(value) is not int and (isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    return int(value)


def check_real(name, value, *, minimum=None, maximum=None, above=None):
    """`value` as a finite float within [minimum, maximum] and above `above`."""
    if type(value) is not float and (isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        value = float(value)
    except OverflowError:
        raise ValueError(f"{name} must be finite in float64, got an integer beyond it") from None
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
    """`value` as a bool; it is True or False, of Python or NumPy."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def is_auto(value):
    """Whether `value` is "auto"; unlike ==, it tells arrays apart from it too."""
    return isinstance(value, str) and value == "auto"


def check_option(name, value, options):
    """`value`, which is one of `options`."""
    if isinstance(value, np.ndarray) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def check_choice(name, value, kinds, others=()):
    """The object that `value` stands for: one of the classes in the dict `kinds`, checked, or the default one of a name there.

    `others` stand for themselves.
    """
    if isinstance(value, tuple(kinds.values())):
        value.check()
        return value
    if isinstance(value, (str, bool, np.bool_)) or value is None:
        value = check_option(name, value, (*others, *kinds))
        return kinds[value]() if value in kinds else value
    names = ", ".join(map(repr, (*others, *kinds)))
    classes = ", ".join(kind.__name__ for kind in kinds.values())
    raise TypeError(f"{name} must be one of {names}, or an object of {classes}, got {value!r}")


def check_path(name, path):
    """`path`, which is a str or path-like."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a path, got {path!r}")
    if not os.fspath(path) or "\0" in os.fspath(path):
        raise ValueError(f"{name} must be the path of a file, got {path!r}")
    return path


def as_path(name, path):
    """`path`, a str or path-like; bytes are decoded as the system's names of files."""
    return check_path(name, os.fsdecode(path) if isinstance(path, bytes) else path)


def check_dtype(name, dtype):
    """Raise unless `dtype` is float32 or float64, by name or as a numpy dtype."""
    try:
        known = dtype is not None and np.dtype(dtype) in REAL_DTYPES
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"{name} must be float32 or float64, got {dtype!r}")


def check_verbose(verbose):
    """Raise unless `verbose` is True, False, or an integer from 0 on."""
    if not isinstance(verbose, (bool, np.bool_)):
        check_int("verbose", verbose, minimum=0)


def check_n_threads(n_threads):
    """`n_threads`: None (OpenMP's default), -1 (every CPU of this process) or a positive number."""
    if n_threads is None:
        return None
    n_threads = check_int("n_threads", n_threads)
    if n_threads == 0 or n_threads < -1 or n_threads > MAX_THREADS:
        raise ValueError(f"n_threads must be None, -1 or an integer from 1 to {MAX_THREADS}, got {n_threads}")
    return n_threads


def check_gradient_threshold(value, label_smoothing=0.0, *, name="gradient_threshold"):
    """`value` as a float, at least 0 and below 1."""
    value = check_real(name, value, minimum=0)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value}")
    if value and label_smoothing:
        raise ValueError("gradient_threshold and label_smoothing exclude each other: smoothed gradients have no zeros")
    return value


def check_rng(name, rng):
    """A numpy Generator made of None, a seed, a RandomState, numpy.random (whose global one is meant) or a Generator."""
    if isinstance(rng, np.random.RandomState) or rng is np.random:
        return np.random.default_rng(rng.randint(np.iinfo(np.int32).max))
    try:
        if isinstance(rng, (bool, np.bool_, str)):  # NumPy makes numbers of these
            raise TypeError
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be None, an int seed or a numpy random generator, got {rng!r}") from None
