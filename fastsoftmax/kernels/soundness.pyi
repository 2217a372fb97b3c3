# src/stubs.py wrote this file from src/csr/soundness.pyx

from typing import Any

from numpy.typing import NDArray

def is_sound(
    indptr: NDArray[Any] | None, indices: NDArray[Any] | None, data: NDArray[Any] | None, n_columns: int
) -> Any: ...
