# src/stubs.py wrote this file from src/csr/batch.pyx

from typing import Any, NamedTuple

from numpy.typing import NDArray

class Batch(NamedTuple):
    indptr: NDArray[Any]
    indices: NDArray[Any]
    data: NDArray[Any]
    feature_ids: NDArray[Any]
    col_indptr: NDArray[Any]
    rows: NDArray[Any]
    col_data: NDArray[Any]

class RowReader:
    def __init__(self, n_features: Any) -> None: ...
    def take(self, indptr: Any, indices: Any, data: Any, rows: Any) -> Any: ...
