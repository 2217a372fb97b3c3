"""Log-loss and perplexity of given log-probabilities."""

import numpy as np

from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import check_counts, check_log_proba, check_same_length, ratios


@with_numpys_defaults
def log_loss(log_proba_of_target, sample_weight=None):
    """The weighted mean of the negative log-probability of the true labels, in nats; infinite if one has probability 0.

    Parameters
    ----------
    log_proba_of_target : array-like of shape (n_samples,)
        The natural logarithm of the probability that each row's true label was given.
    sample_weight : array-like of shape (n_samples,), optional
        Weights that are not negative and not all zero; only their ratios matter.

    Returns
    -------
    float
    """
    log_proba = check_log_proba("log_proba_of_target", log_proba_of_target)
    if sample_weight is None:
        return float(-np.mean(log_proba, dtype=np.float64))
    weight = ratios(check_counts("sample_weight", sample_weight))
    check_same_length("sample_weight", weight, "log_proba_of_target", log_proba)
    counted = weight > 0  # a weight of 0 leaves out even an infinite loss
    return float(-np.average(log_proba[counted], weights=weight[counted]))


def perplexity(log_proba_of_target, sample_weight=None):
    """``exp(log_loss(...))``, infinite if that overflows. Parameters are those of `log_loss`."""
    return exp(log_loss(log_proba_of_target, sample_weight))


def exp(x):
    """The exponential as a float, infinite where it overflows."""
    with np.errstate(over="ignore"):
        return float(np.exp(x))
