from typing import Any, Literal, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fastsoftmax._types import Dense, Floats, Labels, Matrix

class ReliabilityDisplay:
    prob_true: Floats
    prob_pred: Floats
    counts: NDArray[np.integer[Any]]
    bin_edges: Floats
    estimator_name: str | None
    ax_: Axes
    figure_: Figure
    counts_ax_: Axes
    line_: Line2D
    bars_: BarContainer
    def __init__(
        self,
        prob_true: Floats,
        prob_pred: Floats,
        counts: NDArray[np.integer[Any]],
        bin_edges: Floats,
        *,
        estimator_name: str | None = None,
    ) -> None: ...
    @property
    def expected_calibration_error(self) -> float: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Matrix,
        y: Labels,
        *,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        ax: Axes | None = None,
        name: str | None = None,
        **line_kwargs: Any,
    ) -> Self: ...
    @classmethod
    def from_predictions(
        cls,
        y_true: Labels,
        y_pred: Dense,
        y_prob: Dense,
        *,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        ax: Axes | None = None,
        name: str | None = None,
        **line_kwargs: Any,
    ) -> Self: ...
    def plot(self, ax: Axes | None = None, *, name: str | None = None, **line_kwargs: Any) -> Self: ...
