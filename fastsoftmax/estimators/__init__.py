"""The estimators: SoftmaxClassifier, SoftmaxRegression and OneVsAllClassifier, on base classes that do what they share.

May import: `training` and what lies below.
"""

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.explanation import Explanation
from fastsoftmax.estimators.one_vs_all import OneVsAllClassifier
from fastsoftmax.estimators.regression import SoftmaxRegression
from fastsoftmax.training.options import Checkpoint, EarlyStopping

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "Explanation",
    "OneVsAllClassifier",
    "SoftmaxClassifier",
    "SoftmaxRegression",
]


def __dir__():
    return sorted(__all__)  # what tab completion shows
