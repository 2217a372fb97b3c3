# src/stubs.py wrote this file from src/one_vs_all/one_vs_all.pyx

from typing import Any

from numpy.typing import NDArray

MULTIPLE: Any
MAX_WIDTH: Any
KINDS: Any

def derivatives(
    kind: int,
    logits: NDArray[Any] | None,
    indptr: NDArray[Any] | None,
    problems: NDArray[Any] | None,
    row_weight: NDArray[Any] | None,
    positive_weight: NDArray[Any] | None,
    slopes_out: NDArray[Any] | None,
    curvatures_out: NDArray[Any] | None,
    losses_out: NDArray[Any] | None,
) -> Any: ...
def add_and_dot(a: NDArray[Any] | None, b: NDArray[Any] | None, scale: float, dots_out: NDArray[Any] | None) -> Any: ...
def advance(
    length: NDArray[Any] | None,
    direction: NDArray[Any] | None,
    product: NDArray[Any] | None,
    inverse: NDArray[Any] | None,
    solution: NDArray[Any] | None,
    residual: NDArray[Any] | None,
    dots_out: NDArray[Any] | None,
) -> Any: ...
def turn(
    ratio: NDArray[Any] | None,
    residual: NDArray[Any] | None,
    inverse: NDArray[Any] | None,
    direction: NDArray[Any] | None,
) -> Any: ...
