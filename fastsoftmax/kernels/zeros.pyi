# src/stubs.py wrote this file from src/csr/zeros.pyx

from typing import Any

from numpy.typing import NDArray

def zero_rows(rows: NDArray[Any] | None, chosen: NDArray[Any] | None, n_threads: int) -> Any: ...
