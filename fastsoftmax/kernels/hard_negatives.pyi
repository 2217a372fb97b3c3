# src/stubs.py wrote this file from src/one_vs_all/hard_negatives.pyx

from typing import Any

from numpy.typing import NDArray

MULTIPLE: Any

def rows_by_class(
    class_ids: NDArray[Any] | None, class_ptr: NDArray[Any] | None, indptr: NDArray[Any] | None, n_classes: int
) -> Any: ...
def solve(
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    data: NDArray[Any] | None,
    weight: NDArray[Any] | None,
    scale: NDArray[Any] | None,
    positives: Any,
    negatives: Any,
    positive_weight: NDArray[Any] | None,
    tol: float,
    min_weight: float,
    classes: NDArray[Any] | None,
    scratch: Any,
    out_ptr: NDArray[Any] | None,
    features_out: NDArray[Any] | None,
    weights_out: NDArray[Any] | None,
    counts_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
