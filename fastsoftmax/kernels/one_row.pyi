# src/stubs.py wrote this file from src/tiles/one_row.pyx

from typing import Any

from numpy.typing import NDArray

def n_blocks(n_classes: int) -> Any: ...
def add(
    items: NDArray[Any] | None, values: NDArray[Any] | None, weight: float, given_out: NDArray[Any] | None
) -> Any: ...
def best_of_mixture(
    hidden: NDArray[Any] | None,
    V: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    item_of_class: NDArray[Any] | None,
    share: float,
    given: NDArray[Any] | None,
    excluded: NDArray[Any] | None,
    z: NDArray[Any] | None,
    sums: NDArray[Any] | None,
    values: NDArray[Any] | None,
    items: NDArray[Any] | None,
) -> Any: ...
def best(numbers: NDArray[Any] | None, values: NDArray[Any] | None, places: NDArray[Any] | None) -> Any: ...
