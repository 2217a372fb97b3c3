from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from fastsoftmax._types import Axis, Dense, Floats, Reduction

__all__ = ["cross_entropy", "log_softmax", "logsumexp", "softmax"]

# Results are of the kind of the first argument: Any where that is more than an array of NumPy.
_Float = TypeVar("_Float", np.float32, np.float64)

@overload
def logsumexp(
    a: Dense,
    axis: Axis = None,
    b: Dense | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    out: Floats | None = None,
    n_threads: int | None = None,
) -> Any: ...
@overload
def logsumexp(
    a: Dense,
    axis: Axis = None,
    b: Dense | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    out: Floats | None = None,
    n_threads: int | None = None,
) -> tuple[Any, Any]: ...
@overload
def logsumexp(
    a: Dense,
    axis: Axis = None,
    b: Dense | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    out: Floats | None = None,
    n_threads: int | None = None,
) -> Any: ...
@overload
def softmax(
    x: NDArray[_Float], axis: Axis = None, *, out: NDArray[_Float] | None = None, n_threads: int | None = None
) -> NDArray[_Float]: ...
@overload
def softmax(x: Dense, axis: Axis = None, *, out: Floats | None = None, n_threads: int | None = None) -> Any: ...
@overload
def log_softmax(
    x: NDArray[_Float], axis: Axis = None, *, out: NDArray[_Float] | None = None, n_threads: int | None = None
) -> NDArray[_Float]: ...
@overload
def log_softmax(x: Dense, axis: Axis = None, *, out: Floats | None = None, n_threads: int | None = None) -> Any: ...
@overload
def cross_entropy(
    logits: Dense,
    target: Dense,
    *,
    weight: Dense | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    return_grad: Literal[False] = False,
    n_threads: int | None = None,
) -> Any: ...
@overload
def cross_entropy(
    logits: Dense,
    target: Dense,
    *,
    weight: Dense | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    return_grad: Literal[True],
    n_threads: int | None = None,
) -> tuple[Any, Any]: ...
@overload
def cross_entropy(
    logits: Dense,
    target: Dense,
    *,
    weight: Dense | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    return_grad: bool = False,
    n_threads: int | None = None,
) -> Any: ...
