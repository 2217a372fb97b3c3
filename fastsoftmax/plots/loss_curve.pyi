from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fastsoftmax._types import Dense, Doubles

class LossCurveDisplay:
    loss_curve: Doubles
    validation_curve: Doubles
    estimator_name: str | None
    ax_: Axes
    figure_: Figure
    lines_: list[Line2D]
    def __init__(
        self, loss_curve: Dense, validation_curve: Dense = (), *, estimator_name: str | None = None
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, name: str | None = None, **line_kwargs: Any
    ) -> Self: ...
    @classmethod
    def from_predictions(
        cls,
        loss_curve: Dense,
        validation_curve: Dense = (),
        *,
        ax: Axes | None = None,
        name: str | None = None,
        **line_kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Axes | None = None, *, name: str | None = None, **line_kwargs: Any) -> Self: ...
