"""Pictures of models and their predictions, in scikit-learn's way: a `Display` holds numbers, and `plot` draws them.

`from_estimator` and `from_predictions` make a display and draw it. They need matplotlib, which is imported when something is
drawn: `pip install "fastsoftmax[plot]"`. May import: `estimators` and what lies below.
"""

from fastsoftmax.plots.explanation import ExplanationDisplay
from fastsoftmax.plots.loss_curve import LossCurveDisplay
from fastsoftmax.plots.reliability import ReliabilityDisplay

__all__ = ["ExplanationDisplay", "LossCurveDisplay", "ReliabilityDisplay"]


def __dir__():
    return sorted(__all__)  # what tab completion shows
