"""Rows of one length: the hidden layer and the class weights of a low-rank term that is normalised.

Such a term is ``s (h / |h|) . v_k`` with ``|v_k| = 1``: s times the cosine of the angle between h and v_k.
"""

import numpy as np

LEAST_SQUARE = 1e-60  # rows that are shorter than 1e-30 count as zeros: to lengthen them would overflow in float32
BLOCK = 1 << 15  # numbers that are scaled at a time, which stay in a second-level cache


def scale_rows(a, norm):
    """Scale the rows of `a`, (n, size), in place to this norm, and return their factors, (n, 1). Rows of zeros stay."""
    squares = np.einsum("ij,ij->i", a, a, dtype=np.float64)
    factors = (norm / np.sqrt(np.maximum(squares, LEAST_SQUARE))).astype(a.dtype)[:, None]
    factors[squares < LEAST_SQUARE] = 0
    a *= factors
    return factors


def backproject_scaled(gradient, scaled, norm, factors):
    """Turn the gradient by rows that `scale_rows` has scaled into that by the rows before, in place.

    gradient, scaled : (n, size)
    norm, factors : what `scale_rows` was given, and what it returned
    """
    along = np.einsum("ij,ij->i", gradient, scaled, dtype=np.float64) / norm**2
    gradient -= along[:, None].astype(gradient.dtype) * scaled  # a row that grows stays as it is once it is scaled
    gradient *= factors


def normalise(V, class_ids=None):
    """Scale all rows of V, or those of some classes, in place to length 1. Rows of zeros stay."""
    if class_ids is not None:
        rows = V[class_ids]
        scale_rows(rows, 1.0)
        V[class_ids] = rows
        return
    step = max(1, BLOCK // V.shape[1])
    for start in range(0, len(V), step):
        scale_rows(V[start : start + step], 1.0)
