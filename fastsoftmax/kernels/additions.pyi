# src/stubs.py wrote this file from src/tiles/additions.pyx

from typing import Any, NamedTuple

from numpy.typing import NDArray

class Additions(NamedTuple):
    begin: NDArray[Any]
    end: NDArray[Any]
    class_ids: NDArray[Any]
    values: NDArray[Any]

class Grouped(NamedTuple):
    tile_ptr: NDArray[Any]
    places: NDArray[Any]
    values: NDArray[Any]
    sources: NDArray[Any]
    @property
    def nbytes(self) -> Any: ...

def group(additions: Any, n_tiles: int, tile: int, width: int, array: Any, n_threads: int, name: Any = ...) -> Any: ...
def count(begin: NDArray[Any] | None, end: NDArray[Any] | None) -> Any: ...
def sort(
    begin: NDArray[Any] | None,
    end: NDArray[Any] | None,
    class_ids: NDArray[Any] | None,
    values: NDArray[Any] | None,
    tile: int,
    width: int,
    starts: NDArray[Any] | None,
    tile_ptr: NDArray[Any] | None,
    places: NDArray[Any] | None,
    values_out: NDArray[Any] | None,
    sources: NDArray[Any] | None,
) -> Any: ...
