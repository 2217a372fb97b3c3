"""What `explain` returns of a row: what each of its features adds to the logit of a label."""

import math
from typing import NamedTuple

import numpy as np


class Explanation(NamedTuple):
    """Why a label has its logit on a row: ``logit = bias + contributions.sum() + rest``, to rounding. `print` shows it.

    Attributes
    ----------
    label : the label that is explained
    logit : float
    log_proba : float, natural logarithm of the label's probability among all; None where logits make no such probability
    bias : float
    features : list of str, or of int where features have no names
        The features whose contributions are largest, largest first.
    values : (n,) array, the row's values of these features
    contributions : (n,) float64 array, value x weight of each of them; negative ones speak against the label
    rest : float, the sum of the contributions of the row's other features
    """

    label: object
    logit: float
    log_proba: float | None
    bias: float
    features: list
    values: np.ndarray
    contributions: np.ndarray
    rest: float

    def __str__(self):
        probability = "" if self.log_proba is None else f", probability {math.exp(self.log_proba):.4g}"
        lines = [f"{self.label!r}: logit {self.logit:.4g}{probability}"]
        for name, value, contribution in zip(self.names(), self.values, self.contributions, strict=True):
            lines.append(f"{contribution:+12.4g}  {name}  (value {value:.4g})")
        if self.rest:
            lines.append(f"{self.rest:+12.4g}  other features")
        return "\n".join([*lines, f"{self.bias:+12.4g}  bias"])

    def names(self):
        """The features as text: names in quotes, such as "'egg'", and "feature 3" where there are none."""
        return [repr(name) if isinstance(name, str) else f"feature {name}" for name in self.features]
