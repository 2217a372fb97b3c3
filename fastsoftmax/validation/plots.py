"""What is drawn: curves, probabilities, explanations."""

import numpy as np

from fastsoftmax.validation.arrays import as_real_array


def check_loss_curve(name, curve, *, may_be_empty=False):
    """A loss for each epoch as a 1-D real array, of which there is at least one unless it `may_be_empty`."""
    curve = as_real_array(name, curve)
    if curve.ndim != 1 or not (len(curve) or may_be_empty):
        raise ValueError(f"{name} must have one dimension and at least one epoch, got shape {curve.shape}")
    return curve


def check_probabilities(name, probabilities):
    """Probabilities as a 1-D float64 array of numbers from 0 to 1."""
    probabilities = as_real_array(name, probabilities).astype(np.float64)
    if probabilities.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {probabilities.shape}")
    bad = ~((probabilities >= 0) & (probabilities <= 1))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name} must hold probabilities from 0 to 1, got {probabilities[i]} at position {i}")
    return probabilities


def check_one_row(X):
    """Raise unless X, whatever holds rows, has exactly one."""
    n_rows = X.shape[0] if getattr(X, "shape", ()) else len(X)
    if n_rows != 1:
        raise ValueError(f"X must have one row, of which a picture is drawn, got {n_rows}")


def check_explanation(explanation, kind):
    """`explanation`, which is of the class `kind`."""
    if not isinstance(explanation, kind):
        raise TypeError(
            f"explanation must be one {kind.__name__}, an element of what explain returns, got {explanation!r}"
        )
    return explanation
