"""Weights of rows, of classes and of a row's classes, of which only the ratios matter: any scale is as good as any other.

Powers of two change no digit of a number, so weights are scaled by them before anything is added up that might overflow.
Weights below 2^-1074 of the largest become zero.
"""

import numpy as np

from fastsoftmax.validation.arrays import as_vector


def ratios(*factors):
    """The product of arrays of numbers >= 0, times a power of two that puts the largest into [1/2, 1); float64.

    Where all are zero, the result is zero.
    """
    if len(factors) == 1:
        return _scaled(np.asarray(factors[0], np.float64))
    mantissa, exponent = 1.0, 0
    for factor in factors:
        m, e = np.frexp(np.asarray(factor, np.float64))
        mantissa, exponent = mantissa * m, exponent + e
    mantissa, e = np.frexp(mantissa)
    exponent = exponent + e
    counts = mantissa > 0
    top = exponent[counts].max() if counts.any() else 0
    return np.ldexp(mantissa, np.where(counts, exponent - top, 0))


def _scaled(a):
    """`ratios` of one array, in one pass."""
    top = np.frexp(a.max(initial=0))[1]
    return a * np.ldexp(1.0, -top) if top >= -1023 else np.ldexp(a, -top)  # 2**1024 is infinite


def of_mean_one(*factors):
    """The product of arrays of numbers >= 0, divided by the mean of those that are not zero."""
    weight = ratios(*factors)
    counted = weight if weight.min(initial=1) > 0 else weight[weight > 0]  # mostly all, of which no copy is made
    if len(counted):
        weight /= counted.mean()
    return weight


def of_sum_one(masses, rows, n_rows):
    """The numbers `masses` >= 0, divided by the sum of their row, and which rows have a sum above 0.

    rows : (n,) ascending, the row of each
    """
    if masses.min(initial=1.0) >= 2.0**-500 and masses.max(initial=1.0) <= 2.0**500:
        # nothing overflows or underflows, so powers of two would change no digit, and only take time
        totals = np.bincount(rows, weights=masses, minlength=n_rows)
        return masses / totals[rows], totals > 0
    largest = np.zeros(n_rows)
    np.maximum.at(largest, rows, masses)
    _, exponent = np.frexp(largest)
    scaled = np.ldexp(masses, -exponent[rows])
    totals = np.bincount(rows, weights=scaled, minlength=n_rows)
    with np.errstate(invalid="ignore"):  # 0 / 0 of elements in rows of zeros
        return np.where(scaled > 0, scaled / totals[rows], 0.0), totals > 0


def weighted_counts(counts, class_weight):
    """The `counts` of classes times their weights, with the same sum as before; as they are where a weight is None."""
    if class_weight is None:
        return counts
    weighted = ratios(counts, class_weight)
    total = weighted.sum()
    return weighted * (counts.sum() / total) if total else counts


def check_not_negative(name, values, place, ids=None):
    """ValueError if a value is negative or not finite, with the `place` of the first: its position, or its entry of `ids`."""
    if values.min(initial=0) >= 0 and values.max(initial=0) < np.inf:  # nearly every call; a minimum of NaN is NaN
        return
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if bad.size:
        at = bad[0] if ids is None else ids[bad[0]]
        raise ValueError(f"{name} must be finite and not negative, got {values[bad[0]]} {place} {at}")


def check_row_weights(name, weight, n_samples):
    """`weight` as float64 (n_samples,), finite and not negative."""
    weight = as_vector(name, weight, n_samples, "row of X").astype(np.float64)
    check_not_negative(name, weight, "at position")
    return weight


def check_scaled_weight(sample_weight, n_samples):
    """Weights of the rows whose scale matters, as twice the weights are twice C: (n_samples,) float64, of a finite sum."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = check_row_weights("sample_weight", sample_weight, n_samples)
    check_finite_sum("sample_weight", weight)
    return weight


def check_some_weight(name, weight):
    """Raise where there are rows, and all of them have a weight of zero."""
    if len(weight) and not weight.any():
        raise ValueError(f"{name} must not be all zero")


def check_finite_sum(name, weight):
    """The sum of `weight`; ValueError where it overflows, or where it is zero."""
    check_some_weight(name, weight)
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(f"{name} must have a finite sum, got numbers up to {weight.max()}")
    return float(total)


def check_sample_weight(sample_weight, n_samples, counted=None, *, name="sample_weight", may_be_zero=False):
    """The `ratios` of the weights of rows, float64, one for each row, or for each that is `counted`.

    sample_weight : (n_samples,), or None for ones
    may_be_zero : whether all weights may be zero
    """
    if sample_weight is None:
        return np.ones(n_samples if counted is None else np.count_nonzero(counted))
    weight = check_row_weights(name, sample_weight, n_samples)
    weight = weight if counted is None else weight[counted]
    if not may_be_zero:
        check_some_weight(name, weight)
    return ratios(weight)


def check_class_weight(weight, n_classes, *, name="weight"):
    """`weight` as float64 (n_classes,), finite and not negative, or None."""
    if weight is None:
        return None
    weight = as_vector(name, weight, n_classes, "class").astype(np.float64)
    check_not_negative(name, weight, "for class")
    return weight


def ratios_at(weight, target):
    """The weights of classes, (n_classes,), times a power of two with which those of the classes in `target` add up.

    A weight of another class may become infinite, where it is so much larger that nothing else would be left.
    """
    used = weight[target]
    top = np.frexp(used.max())[1] if len(used) else 0
    with np.errstate(over="ignore"):
        return np.ldexp(weight, -top)
