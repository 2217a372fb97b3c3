"""What users fit: SoftmaxClassifier and SoftmaxRegression, on one base that does what both do once fitted.

May import: `training` and what lies below.
"""

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.regression import SoftmaxRegression
from fastsoftmax.training.options import Checkpoint, EarlyStopping

__all__ = ["Checkpoint", "EarlyStopping", "SoftmaxClassifier", "SoftmaxRegression"]
