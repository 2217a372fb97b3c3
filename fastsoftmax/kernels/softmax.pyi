# src/stubs.py wrote this file from src/dense/softmax.pyx

from typing import Any

from numpy.typing import NDArray

def count_classes(classes: NDArray[Any] | None, n_classes: int) -> Any: ...
def softmax(x: NDArray[Any] | None, y_out: NDArray[Any] | None, log: bool, n_threads: int) -> Any: ...
def small_softmax(x: Any, axis: Any, out: Any, n_threads: Any, log: bool) -> Any: ...
def small_cross_entropy(x: Any, target: Any, mean: bool, return_grad: bool, n_threads: Any) -> Any: ...
def cross_entropy(
    x: NDArray[Any] | None,
    classes: NDArray[Any] | None,
    class_weight: NDArray[Any] | None,
    class_mass: float,
    soft: NDArray[Any] | None,
    soft_mass: NDArray[Any] | None,
    grad_scale: float,
    losses_out: NDArray[Any] | None,
    dx_out: NDArray[Any] | None,
    n_threads: int,
) -> Any: ...
