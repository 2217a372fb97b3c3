# src/stubs.py wrote this file from src/pairs/pairs_bias.pyx

from typing import Any

from numpy.typing import NDArray

SCRATCH: Any

def write_base(bias: NDArray[Any] | None, shift: float, base_out: NDArray[Any] | None, n_threads: int) -> Any: ...
def remainder(
    rows: NDArray[Any] | None,
    row_ptr: NDArray[Any] | None,
    n_touched: NDArray[Any] | None,
    touched: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    ranked: NDArray[Any] | None,
    rank_of: NDArray[Any] | None,
    beyond: float,
    beyond_shift: float,
    marks: NDArray[Any] | None,
    out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def untouch(
    row_ptr: NDArray[Any] | None,
    n_touched: NDArray[Any] | None,
    touched: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    dlogits: NDArray[Any] | None,
    scale: NDArray[Any] | None,
    lse: NDArray[Any] | None,
    prior_scale: NDArray[Any] | None,
    prior: NDArray[Any] | None,
    out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def scatter(
    row_ptr: NDArray[Any] | None,
    n_touched: NDArray[Any] | None,
    touched: NDArray[Any] | None,
    values: NDArray[Any] | None,
    sums_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def finish(
    bias: NDArray[Any] | None,
    sums: NDArray[Any] | None,
    lse: NDArray[Any] | None,
    log_share: NDArray[Any] | None,
    prior_scale: float,
    prior: NDArray[Any] | None,
    bias_out: NDArray[Any] | None,
    state: NDArray[Any] | None,
    rule: Any,
    scratch: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
