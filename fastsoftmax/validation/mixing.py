"""Mixtures of experts: what each gives to rows, and the buckets of rows."""

import numpy as np

from fastsoftmax.validation.arrays import as_real_array


def check_expert_proba(proba):
    """Probabilities (n_rows, n_experts) as float64, at least one expert."""
    proba = as_real_array("proba", proba).astype(np.float64, copy=False)
    if proba.ndim != 2 or proba.shape[1] == 0:
        raise ValueError(f"proba must be of shape (n_rows, n_experts), got {proba.shape}")
    fits = np.isfinite(proba) & (proba >= 0)
    if not fits.all():
        raise ValueError(f"proba must be at least 0 and finite, got {proba[~fits][0]}")
    return proba


def check_buckets(buckets, n_rows, n_buckets):
    """The bucket of each row, intp (n_rows,); None: 0."""
    if buckets is None:
        return np.zeros(n_rows, dtype=np.intp)
    buckets = np.asarray(buckets)
    if buckets.shape != (n_rows,):
        raise ValueError(f"buckets must be of shape ({n_rows},), a bucket for each row of proba, got {buckets.shape}")
    if n_rows and not np.issubdtype(buckets.dtype, np.integer):
        raise TypeError(f"buckets must be integers, got {buckets.dtype}")
    if n_rows and not 0 <= buckets.min() <= buckets.max() < n_buckets:
        raise ValueError(
            f"buckets must be from 0 to n_buckets - 1 = {n_buckets - 1}, got {buckets.min()} to {buckets.max()}"
        )
    return buckets.astype(np.intp)
