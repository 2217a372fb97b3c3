"""Rows of one length: the hidden layer and the class weights of a low-rank term that is normalised.

Such a term is ``s (h / |h|) . v_k`` with ``|v_k| = 1``: s times the cosine of the angle between h and v_k.
"""

import numpy as np

from fastsoftmax.kernels import unit_rows
from fastsoftmax.runtime import threads


def scale_rows(a, norm, n_threads):
    """Scale the rows of `a`, (n, size), in place to this norm, and return their factors, (n,). Rows of zeros stay."""
    factors = np.empty(len(a), a.dtype)
    unit_rows.scale_rows(a, None, norm, factors, threads.for_work(n_threads, a.size))
    return factors


def scale_rows_back(gradient, scaled, norm, factors, n_threads):
    """Turn the gradient by rows that `scale_rows` has scaled into that by the rows before, in place.

    gradient, scaled : (n, size)
    norm, factors : what `scale_rows` was given, and what it returned
    """
    unit_rows.scale_rows_back(scaled, factors, norm, gradient, threads.for_work(n_threads, gradient.size))


def normalise(V, class_ids=None, n_threads=1):
    """Scale all rows of V, or those of some classes, (n,) int64, in place to length 1. Rows of zeros stay."""
    n_values = (len(V) if class_ids is None else len(class_ids)) * V.shape[1]
    n_threads = threads.for_work(n_threads, n_values)
    if V.flags.c_contiguous:
        unit_rows.scale_rows(V, class_ids, 1.0, None, n_threads)
        return
    at = slice(None) if class_ids is None else class_ids
    rows = np.ascontiguousarray(V[at])
    unit_rows.scale_rows(rows, None, 1.0, None, n_threads)
    V[at] = rows
