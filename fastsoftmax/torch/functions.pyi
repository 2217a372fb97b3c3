from typing import Literal

import torch

from fastsoftmax._types import Dense, Reduction, SampledLossName

__all__ = ["cross_entropy_head", "sampled_cross_entropy_head"]

def cross_entropy_head(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    class_weight: torch.Tensor | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    gradient_threshold: float = 0.0,
    n_threads: int | None = None,
) -> torch.Tensor: ...
def sampled_cross_entropy_head(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    class_ids: torch.Tensor | Dense,
    log_expected_counts: torch.Tensor | Dense | None = None,
    target_log_expected_counts: torch.Tensor | Dense | None = None,
    loss: SampledLossName = "sampled_softmax",
    remove_accidental_hits: bool | None = None,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum"] = "mean",
    sparse: bool = False,
    n_threads: int | None = None,
) -> torch.Tensor: ...
