# src/stubs.py wrote this file from src/tiles/topk.pyx

from typing import Any

from numpy.typing import NDArray

def scan(
    terms: Any,
    work: Any,
    values: NDArray[Any] | None,
    class_ids: NDArray[Any] | None,
    eligible: Any,
    tile_ptr: NDArray[Any],
    begin: int,
    end: int,
) -> Any: ...
def merge(values: NDArray[Any] | None, class_ids: NDArray[Any] | None) -> Any: ...
