"""The estimators: SoftmaxClassifier and SoftmaxRegression, on a base class that does what both do once they are fitted.

May import: `training` and what lies below.
"""

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.regression import SoftmaxRegression
from fastsoftmax.training.options import Checkpoint, EarlyStopping

__all__ = ["Checkpoint", "EarlyStopping", "SoftmaxClassifier", "SoftmaxRegression"]


def __dir__():
    return sorted(__all__)  # what tab completion shows
