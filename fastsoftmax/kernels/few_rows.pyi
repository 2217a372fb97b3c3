# src/stubs.py wrote this file from src/tiles/few_rows.pyx

from typing import Any

from numpy.typing import NDArray

def block_classes(n_classes: int) -> Any: ...
def topk(
    bias: NDArray[Any] | None,
    hidden: NDArray[Any] | None,
    V: Any,
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    data: NDArray[Any] | None,
    W: Any,
    additions: Any,
    eligible: Any,
    block_ptr: NDArray[Any],
    values: NDArray[Any] | None,
    class_ids: NDArray[Any] | None,
    lse_out: NDArray[Any] | None,
    sums: NDArray[Any] | None,
    scratch: NDArray[Any] | None,
) -> Any: ...
