from typing import Any, Literal, TypeAlias, overload

from fastsoftmax._types import Dense, Floats, Ints, Matrix, SampledLossName, Sparse

__all__ = ["sampled_cross_entropy"]

_Gradients: TypeAlias = tuple[Floats | None, Ints, Floats, Floats | None]

@overload
def sampled_cross_entropy(
    X: Matrix,
    W: Dense,
    target: Dense | Sparse,
    bias: Dense | None = None,
    *,
    class_ids: Dense,
    log_expected_counts: Dense | None = None,
    target_log_expected_counts: Dense | None = None,
    loss: SampledLossName = "sampled_softmax",
    remove_accidental_hits: bool | None = None,
    return_grad: Literal[False] = False,
    n_threads: int | None = None,
) -> float: ...
@overload
def sampled_cross_entropy(
    X: Matrix,
    W: Dense,
    target: Dense | Sparse,
    bias: Dense | None = None,
    *,
    class_ids: Dense,
    log_expected_counts: Dense | None = None,
    target_log_expected_counts: Dense | None = None,
    loss: SampledLossName = "sampled_softmax",
    remove_accidental_hits: bool | None = None,
    return_grad: Literal[True],
    n_threads: int | None = None,
) -> tuple[float, _Gradients]: ...
@overload
def sampled_cross_entropy(
    X: Matrix,
    W: Dense,
    target: Dense | Sparse,
    bias: Dense | None = None,
    *,
    class_ids: Dense,
    log_expected_counts: Dense | None = None,
    target_log_expected_counts: Dense | None = None,
    loss: SampledLossName = "sampled_softmax",
    remove_accidental_hits: bool | None = None,
    return_grad: bool = False,
    n_threads: int | None = None,
) -> Any: ...
