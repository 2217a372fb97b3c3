# src/stubs.py wrote this file from src/dense/logsumexp.pyx

from typing import Any

from numpy.typing import NDArray

def logsumexp(
    x: NDArray[Any] | None,
    b: NDArray[Any] | None,
    values_out: NDArray[Any] | None,
    signs_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def small_logsumexp(x: Any, axis: Any, n_threads: Any) -> Any: ...
