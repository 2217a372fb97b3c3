# src/stubs.py wrote this file from src/screen/screen.pyx

from typing import Any

from numpy.typing import NDArray

GROUP: Any
BLOCK_GROUPS: Any

def scan(
    codes: NDArray[Any] | None,
    scale: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    n_classes: int,
    n_quads: int,
    row_codes: NDArray[Any] | None,
    offset: NDArray[Any] | None,
    factor: NDArray[Any] | None,
    margin: NDArray[Any] | None,
    slack: NDArray[Any] | None,
    shift: NDArray[Any] | None,
    heap: NDArray[Any] | None,
    heap_ids: NDArray[Any] | None,
    bar: NDArray[Any] | None,
    n_listed: NDArray[Any] | None,
    listed: NDArray[Any] | None,
    upper: NDArray[Any] | None,
    sums_out: NDArray[Any] | None,
    scratch: NDArray[Any] | None,
    n_parts: int,
    step: int,
) -> Any: ...
def merge(heap: NDArray[Any] | None, heap_ids: NDArray[Any] | None) -> Any: ...
def collect(
    bar: NDArray[Any] | None,
    n_listed: NDArray[Any] | None,
    listed: NDArray[Any] | None,
    upper: NDArray[Any] | None,
    out: NDArray[Any] | None,
    indptr_out: NDArray[Any] | None,
) -> Any: ...
def rescore(
    bias: NDArray[Any] | None,
    hidden: NDArray[Any] | None,
    V: Any,
    eligible: Any,
    class_ids: NDArray[Any] | None,
    indptr: NDArray[Any] | None,
    block: int,
    values: NDArray[Any] | None,
    ids: NDArray[Any] | None,
) -> Any: ...
