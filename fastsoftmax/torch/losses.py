"""What the losses compute with tensors, through the functions of arrays."""

from typing import NamedTuple

import torch

from fastsoftmax.linear import linear_cross_entropy
from fastsoftmax.sampled import sampled_cross_entropy
from fastsoftmax.torch.arrays import RowGradient, array_of, tensor_of
from fastsoftmax.validation import check_class_weight, check_X


class FullLoss(NamedTuple):
    """The arguments of linear_cross_entropy that have no gradient."""

    target: torch.Tensor  # (n_rows,)
    class_weight: torch.Tensor | None
    seed: torch.Tensor | None  # of the rounding of gradients
    reduction: str
    ignore_index: int
    label_smoothing: float
    gradient_threshold: float
    n_threads: int | None

    def run(self, hidden, weight, bias, needs, grad_loss=None):
        """The loss, and the gradients that `needs` asks for; without a reduction these need the `grad_loss` of each row."""
        X, W = array_of(hidden), array_of(weight)
        X = check_X(X, dtype=W.dtype, name="hidden")
        names = tuple(name for name, is_needed in zip(("X", "W", "bias"), needs, strict=True) if is_needed)
        is_weighted = self.reduction == "none"
        if is_weighted and grad_loss is None:
            names = ()
        result = linear_cross_entropy(
            X, W, array_of(self.target), array_of(bias),
            weight=check_class_weight(array_of(self.class_weight), len(W), name="class_weight"),
            ignore_index=self.ignore_index, reduction=self.reduction, label_smoothing=self.label_smoothing,
            return_grad=names or False, grad_loss=array_of(grad_loss) if is_weighted and names else None,
            gradient_threshold=self.gradient_threshold, random_state=None if self.seed is None else int(self.seed),
            n_threads=self.n_threads,
        )  # fmt: skip
        loss, gradients = result if names else (result, None)
        loss = torch.as_tensor(loss, dtype=torch.float64 if W.dtype == "f8" else torch.float32)
        return loss, None if gradients is None else tuple(map(tensor_of, gradients))


class SampledLoss(NamedTuple):
    """The arguments of sampled_cross_entropy that have no gradient."""

    target: torch.Tensor  # (n_rows,)
    options: dict
    is_sum: bool
    is_sparse: bool  # whether the gradients of weight and bias are

    def run(self, hidden, weight, bias, needs, grad_loss=None):
        """The loss, and the gradients that `needs` asks for, which do not depend on `grad_loss`."""
        W, b, target = array_of(weight), array_of(bias), array_of(self.target)
        X = check_X(array_of(hidden), dtype=W.dtype, name="hidden")
        result = sampled_cross_entropy(X, W, target, b, return_grad=any(needs), **self.options)
        loss, gradients = result if any(needs) else (result, None)
        factor = len(X) if self.is_sum else 1
        if self.is_sum:
            loss = loss * factor if factor else 0.0
        loss = torch.tensor(loss, dtype=torch.float64 if W.dtype == "f8" else torch.float32)
        if gradients is None:
            return loss, None
        dX, rows, dW, dbias = map(tensor_of, gradients)
        gradients = [dX, RowGradient(rows, dW, W.shape, self.is_sparse), None]
        if b is not None:
            gradients[2] = RowGradient(rows, dbias, b.shape, self.is_sparse)
        gradients = [gradient if is_needed else None for gradient, is_needed in zip(gradients, needs, strict=True)]
        if factor != 1:
            gradients = [None if gradient is None else gradient.mul_(factor) for gradient in gradients]
        return loss, gradients
