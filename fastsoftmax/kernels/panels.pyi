# src/stubs.py wrote this file from src/tiles/panels.pyx

from typing import Any

from numpy.typing import NDArray

STRIP_BYTES: Any

def panel_width(n_rows: int, itemsize: int) -> Any: ...
def pack(a: NDArray[Any] | None, panels: NDArray[Any] | None, n_threads: int) -> Any: ...
def clear(parts: NDArray[Any] | None, n_threads: int) -> Any: ...
def merge_parts(
    max: NDArray[Any] | None, sum: NDArray[Any] | None, lse_out: NDArray[Any] | None, n_threads: int
) -> Any: ...
def add_parts(
    parts: NDArray[Any] | None, rounded: NDArray[Any] | None, sum_out: NDArray[Any] | None, n_threads: int
) -> Any: ...
