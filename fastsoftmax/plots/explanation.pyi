from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from fastsoftmax._types import FeatureNames, Matrix
from fastsoftmax.estimators.explaining import ExplainingMixin
from fastsoftmax.estimators.explanation import Explanation

class ExplanationDisplay:
    explanation: Explanation
    ax_: Axes
    figure_: Figure
    bars_: BarContainer
    def __init__(self, explanation: Explanation) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: ExplainingMixin,
        X: Matrix,
        labels: object = None,
        k: int = 10,
        *,
        feature_names: FeatureNames | None = None,
        ax: Axes | None = None,
        **bar_kwargs: Any,
    ) -> Self: ...
    @classmethod
    def from_predictions(cls, explanation: Explanation, *, ax: Axes | None = None, **bar_kwargs: Any) -> Self: ...
    def plot(self, ax: Axes | None = None, **bar_kwargs: Any) -> Self: ...
