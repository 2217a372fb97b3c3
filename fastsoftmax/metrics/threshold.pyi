from typing import Any, Literal

from fastsoftmax._types import Dense, Labels, Matrix

def precision_at_threshold(
    scores: Matrix,
    y: Labels,
    threshold: float | Dense = 0.5,
    *,
    average: Literal["micro", "macro"] | None = "micro",
    classes: Dense | None = None,
) -> Any: ...
def recall_at_threshold(
    scores: Matrix,
    y: Labels,
    threshold: float | Dense = 0.5,
    *,
    average: Literal["micro", "macro"] | None = "micro",
    classes: Dense | None = None,
) -> Any: ...
def f1_at_threshold(
    scores: Matrix,
    y: Labels,
    threshold: float | Dense = 0.5,
    *,
    average: Literal["micro", "macro"] | None = "micro",
    classes: Dense | None = None,
) -> Any: ...
