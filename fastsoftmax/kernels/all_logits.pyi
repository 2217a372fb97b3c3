# src/stubs.py wrote this file from src/tiles/all_logits.pyx

from typing import Any

from numpy.typing import NDArray

def write(terms: Any, work: Any, out: NDArray[Any]) -> Any: ...
def add_gradient(terms: Any, work: Any, dlogits: NDArray[Any], dW: NDArray[Any]) -> Any: ...
