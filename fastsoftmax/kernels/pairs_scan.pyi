# src/stubs.py wrote this file from src/pairs/pairs_scan.pyx

from typing import Any

from numpy.typing import NDArray

def measure(indptr: NDArray[Any] | None, indices: NDArray[Any] | None, pairs_indptr: NDArray[Any]) -> Any: ...
def scratch_bytes(most_entries: int, most_pairs: int, n_classes: int, itemsize: int) -> Any: ...
def touch(
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    data: NDArray[Any] | None,
    pairs_indptr: NDArray[Any],
    class_ids: NDArray[Any] | None,
    weights: Any,
    n_classes: int,
    touched_out: NDArray[Any] | None,
    logits_out: NDArray[Any] | None,
    n_touched_out: NDArray[Any] | None,
    most_entries: int,
    most_pairs: int,
    memory: NDArray[Any] | None,
) -> Any: ...
def scan(
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    data: NDArray[Any] | None,
    pairs_indptr: NDArray[Any],
    class_ids: NDArray[Any] | None,
    weights: Any,
    weights_base: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    base_of: NDArray[Any] | None,
    mass: float,
    shift: float,
    least: float,
    ranked: NDArray[Any] | None,
    eligible: Any,
    is_listed: NDArray[Any] | None,
    values_out: NDArray[Any] | None,
    ids_out: NDArray[Any] | None,
    lse_out: NDArray[Any] | None,
    is_exact_out: NDArray[Any] | None,
    most_entries: int,
    most_pairs: int,
    memory: NDArray[Any] | None,
) -> Any: ...
