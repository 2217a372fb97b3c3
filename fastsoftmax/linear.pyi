from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

from fastsoftmax._types import Dense, Excluded, Floats, Ints, Matrix, Random, Reduction, Sparse
from fastsoftmax.passes.pairs_input import PreparedWeights as PreparedWeights

__all__ = ["PreparedWeights", "linear_cross_entropy", "linear_logsumexp", "linear_topk"]

_Weights: TypeAlias = Dense | Sparse | PreparedWeights
_Out: TypeAlias = Sequence[Floats | None]

def linear_logsumexp(X: Matrix, W: _Weights, bias: Dense | None = None, *, n_threads: int | None = None) -> Floats: ...
@overload
def linear_cross_entropy(
    X: Matrix,
    W: _Weights,
    target: Dense,
    bias: Dense | None = None,
    *,
    weight: Dense | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    return_grad: Literal[False] = False,
    grad_loss: Dense | None = None,
    sparse_grad: bool = False,
    out: _Out | None = None,
    gradient_threshold: float = 0.0,
    random_state: Random = None,
    n_threads: int | None = None,
    working_memory: int = ...,
) -> Any: ...
@overload
def linear_cross_entropy(
    X: Matrix,
    W: _Weights,
    target: Dense,
    bias: Dense | None = None,
    *,
    weight: Dense | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    return_grad: Literal[True] | Sequence[Literal["X", "W", "bias"]],
    grad_loss: Dense | None = None,
    sparse_grad: bool = False,
    out: _Out | None = None,
    gradient_threshold: float = 0.0,
    random_state: Random = None,
    n_threads: int | None = None,
    working_memory: int = ...,
) -> tuple[Any, tuple[Any, ...]]: ...
@overload
def linear_cross_entropy(
    X: Matrix,
    W: _Weights,
    target: Dense,
    bias: Dense | None = None,
    *,
    weight: Dense | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    return_grad: bool | Sequence[Literal["X", "W", "bias"]] = False,
    grad_loss: Dense | None = None,
    sparse_grad: bool = False,
    out: _Out | None = None,
    gradient_threshold: float = 0.0,
    random_state: Random = None,
    n_threads: int | None = None,
    working_memory: int = ...,
) -> Any: ...
def linear_topk(
    X: Matrix,
    W: _Weights,
    k: int,
    bias: Dense | None = None,
    *,
    class_ids: Dense | None = None,
    exclude: Excluded | None = None,
    threshold: float | None = None,
    n_threads: int | None = None,
) -> tuple[Ints, Floats]: ...
