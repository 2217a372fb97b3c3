# src/stubs.py wrote this file from src/sampling/candidates.pyx

from typing import Any

from numpy.typing import NDArray

def unite(drawn: NDArray[Any] | None, target: NDArray[Any] | None, log_expected: NDArray[Any] | None) -> Any: ...
