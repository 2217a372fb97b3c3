# src/stubs.py wrote this file from src/pairs/pairs.pyx

from typing import Any

from numpy.typing import NDArray

PIECE: Any

def plan(
    indptr: NDArray[Any] | None,
    indices: NDArray[Any] | None,
    col_indptr: NDArray[Any] | None,
    lengths: NDArray[Any] | None,
    target_ptr: NDArray[Any] | None,
    n_classes: int,
) -> Any: ...
def table_size(capacity: int, n_classes: int) -> Any: ...
def touch(
    batch: Any,
    weights: Any,
    bias: NDArray[Any] | None,
    base_of: NDArray[Any] | None,
    target_ptr: NDArray[Any] | None,
    targets: NDArray[Any] | None,
    pos_ptr: NDArray[Any] | None,
    row_ptr: NDArray[Any] | None,
    touched_out: NDArray[Any] | None,
    logits_out: NDArray[Any] | None,
    positions_out: NDArray[Any] | None,
    n_touched_out: NDArray[Any] | None,
    mass_out: NDArray[Any] | None,
    tables: NDArray[Any] | None,
    bases: NDArray[Any] | None,
    n_threads: int,
    exponentials: Any = ...,
) -> Any: ...
def exponentiate(
    row_ptr: NDArray[Any] | None,
    n_touched: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    target_ptr: NDArray[Any] | None,
    max_out: NDArray[Any] | None,
    sum_out: NDArray[Any] | None,
    target_logit_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def differentiate(
    kind: int,
    row_ptr: NDArray[Any] | None,
    n_touched: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    target_ptr: NDArray[Any] | None,
    sum_out: NDArray[Any] | None,
    target_logit_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def gradient(
    row_ptr: NDArray[Any] | None,
    n_touched: NDArray[Any] | None,
    touched: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    scale: NDArray[Any] | None,
    target_ptr: NDArray[Any] | None,
    target_dlogit: NDArray[Any] | None,
    prior_scale: NDArray[Any] | None,
    prior: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def pieces_of(lengths: NDArray[Any] | None, col_indptr: NDArray[Any] | None) -> Any: ...
def step(
    batch: Any,
    starts: NDArray[Any] | None,
    lengths: NDArray[Any] | None,
    offsets: NDArray[Any] | None,
    positions: NDArray[Any] | None,
    row_ptr: NDArray[Any] | None,
    dlogits: NDArray[Any] | None,
    data_out: NDArray[Any] | None,
    state: NDArray[Any] | None,
    rule: Any,
    scratch: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
