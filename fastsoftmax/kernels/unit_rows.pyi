# src/stubs.py wrote this file from src/dense/unit_rows.pyx

from typing import Any

from numpy.typing import NDArray

def scale_rows(
    a: NDArray[Any] | None, ids: NDArray[Any] | None, norm: float, factors_out: NDArray[Any] | None, n_threads: int
) -> Any: ...
def scale_rows_back(
    scaled: NDArray[Any] | None,
    factors: NDArray[Any] | None,
    norm: float,
    gradient_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
