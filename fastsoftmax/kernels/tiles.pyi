# src/stubs.py wrote this file from src/tiles/tiles.pyx

from typing import Any

from numpy.typing import NDArray

def thread_scratch(terms: Any, tile: int) -> Any: ...
def forward(terms: Any, work: Any, begin: int, end: int) -> Any: ...
def backward(
    terms: Any,
    work: Any,
    dlogits: Any,
    out: Any,
    hidden_columns: NDArray[Any],
    parts: NDArray[Any],
    rounding: Any,
    dadditions: NDArray[Any],
    n_parts: int,
    begin: int,
    end: int,
) -> Any: ...
def lists_bytes(n_rows: int, n_targets: int, tile: int) -> Any: ...
