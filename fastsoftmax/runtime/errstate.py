"""How NumPy treats floating-point errors in our own arithmetic, whatever the user has set for theirs."""

import functools

import numpy as np


def with_numpys_defaults(function):
    """A function that runs under NumPy's default `np.errstate`.

    Exponentials that underflow are right, and under the user's ``np.errstate(all="raise")`` they would be an error.
    """

    @functools.wraps(function)
    def run(*args, **kwargs):
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*args, **kwargs)

    return run
