# src/stubs.py wrote this file from src/csr/low_rank.pyx

from typing import Any

from numpy.typing import NDArray

SCRATCH_ROWS: Any

def project(
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    data: NDArray[Any] | None,
    feature_ids: NDArray[Any] | None,
    E: NDArray[Any] | None,
    hidden_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def project_compact(
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    data: NDArray[Any] | None,
    feature_ids: NDArray[Any] | None,
    E: Any,
    hidden_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def backproject(
    col_indptr: NDArray[Any] | None,
    rows: NDArray[Any] | None,
    col_data: NDArray[Any] | None,
    feature_ids: NDArray[Any] | None,
    dhidden: NDArray[Any] | None,
    E_out: NDArray[Any] | None,
    state: NDArray[Any],
    rule: Any,
    scratch: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
