from collections.abc import Sequence
from typing import Any

from fastsoftmax._types import Labels, Matrix, Propensities

def evaluate(
    model: Any,
    X: Matrix,
    y: Labels,
    ks: Sequence[int] | None = None,
    batch_size: int = 1024,
    *,
    inverse_propensities: Propensities | None = None,
    verbose: int = 0,
) -> dict[str, Any]: ...
def compare(
    model: Any,
    other: Any,
    X: Matrix,
    y: Labels,
    ks: Sequence[int] | None = None,
    batch_size: int = 1024,
    *,
    inverse_propensities: Propensities | None = None,
    verbose: int = 0,
) -> dict[str, Any]: ...
