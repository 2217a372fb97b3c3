# src/stubs.py wrote this file from src/sequences/neighbours.pyx

from typing import Any

from numpy.typing import NDArray

def vote(
    indptr: NDArray[Any] | None,
    items: NDArray[Any] | None,
    weights: NDArray[Any] | None,
    votes: NDArray[Any] | None,
    item_ptr: NDArray[Any] | None,
    of_item: NDArray[Any] | None,
    sequence_ptr: NDArray[Any] | None,
    sequence_items: NDArray[Any] | None,
    reach: NDArray[Any] | None,
    k: int,
    similarity: NDArray[Any] | None,
    touched: NDArray[Any] | None,
    score: NDArray[Any] | None,
    place: NDArray[Any] | None,
    best: NDArray[Any] | None,
    out_ptr: NDArray[Any] | None,
    items_out: NDArray[Any] | None,
    proba_out: NDArray[Any] | None,
    counts_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
def room(
    indptr: NDArray[Any] | None,
    items: NDArray[Any] | None,
    item_ptr: NDArray[Any] | None,
    k: int,
    longest: int,
    n_items: int,
) -> Any: ...
