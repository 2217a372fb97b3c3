from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from fastsoftmax._types import Dense, Reduction, SamplerName
from fastsoftmax.samplers import Sampler

__all__ = ["LinearCrossEntropy", "SampledSoftmax", "TopK"]

class TopK(NamedTuple):
    class_ids: torch.Tensor
    log_prob: torch.Tensor

class LinearHead(nn.Module):
    in_features: int
    n_classes: int
    weight: nn.Parameter
    bias: nn.Parameter | None
    ignore_index: int
    reduction: str
    n_threads: int | None
    def __init__(
        self,
        in_features: int,
        n_classes: int,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None: ...
    def reset_parameters(self) -> None: ...
    def extra_repr(self) -> str: ...
    def log_prob(self, hidden: torch.Tensor, target: torch.Tensor | None = None) -> torch.Tensor: ...
    def topk(self, hidden: torch.Tensor, k: int) -> TopK: ...

class LinearCrossEntropy(LinearHead):
    class_weight: torch.Tensor | None
    label_smoothing: float
    gradient_threshold: float
    def __init__(
        self,
        in_features: int,
        n_classes: int,
        bias: bool = True,
        *,
        class_weight: torch.Tensor | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        gradient_threshold: float = 0.0,
        n_threads: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor: ...

class SampledSoftmax(LinearHead):
    n_negatives: int
    sampler: Any
    sparse: bool
    def __init__(
        self,
        in_features: int,
        n_classes: int,
        n_negatives: int = 1024,
        *,
        sampler: SamplerName | Sampler | Any = "uniform",
        counts: torch.Tensor | Dense | None = None,
        bias: bool = True,
        sparse: bool = False,
        ignore_index: int = -100,
        reduction: Literal["mean", "sum"] = "mean",
        n_threads: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor: ...
