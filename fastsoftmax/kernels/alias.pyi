# src/stubs.py wrote this file from src/sampling/alias.pyx

from typing import Any

from numpy.typing import NDArray

BUCKET: Any

def build(probabilities: NDArray[Any] | None, table_out: NDArray[Any] | None) -> Any: ...
def draw(table: NDArray[Any] | None, uniforms: NDArray[Any] | None, class_ids: NDArray[Any] | None) -> Any: ...
