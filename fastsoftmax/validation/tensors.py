"""Tensors of PyTorch, which is imported only where somebody passes one."""

import numpy as np

from fastsoftmax.validation.sampling import check_counts

NARROW, WIDE = ("float32", "bfloat16"), ("float64",)


def check_tensor(name, tensor):
    """Raise unless `tensor` is a dense one in the memory of the CPU."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    if tensor.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU, where the kernels are, got a tensor on {tensor.device}")
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} must be dense (torch.strided), got {tensor.layout}")


def check_hidden_tensor(hidden, weight, bias):
    """Raise unless these are the tensors of a linear head whose dtypes go together."""
    for name, tensor in (("hidden", hidden), ("weight", weight), ("bias", bias)):
        if name != "bias" or tensor is not None:
            check_tensor(name, tensor)
            _check_real(name, tensor, weight)
    if weight.ndim != 2 or weight.shape[0] < 1:
        raise ValueError(
            f"weight must be 2-D (n_classes, in_features) with at least one class, got shape {tuple(weight.shape)}"
        )
    if hidden.ndim < 1 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(f"hidden must have shape (..., {weight.shape[1]}), got {tuple(hidden.shape)}")
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(f"bias must have shape ({weight.shape[0]},), one number a class, got {tuple(bias.shape)}")


def _check_real(name, tensor, weight):
    known, kind = NARROW + WIDE, str(tensor.dtype).removeprefix("torch.")
    if kind not in known:
        raise TypeError(f"{name} must be of float32, float64 or bfloat16, got {kind}")
    of_weight = str(weight.dtype).removeprefix("torch.")
    if of_weight in known and (kind in WIDE) != (of_weight in WIDE):
        raise TypeError(f"{name} must be of the precision of weight, {of_weight}, got {kind}")


def check_head_tensors(hidden, weight, bias, target):
    """`check_hidden_tensor`, and a target of one class code a row."""
    import torch

    check_hidden_tensor(hidden, weight, bias)
    check_tensor("target", target)
    if target.dtype == torch.bool or target.is_floating_point() or target.is_complex():
        raise TypeError(f"target must hold integer class codes, got a tensor of {target.dtype}")
    if target.shape != hidden.shape[:-1]:
        raise ValueError(
            f"target must have shape {tuple(hidden.shape[:-1])}, one class code a row of hidden, got {tuple(target.shape)}"
        )


def check_counts_given(name, counts, n_classes, sampler, are_used):
    """`counts` as an array (n_classes,); ones where they are not given and not used."""
    if counts is None and are_used and isinstance(sampler, str):
        raise ValueError(f"{name} must be given for sampler={sampler!r}, got None")
    if counts is None:
        return np.ones(n_classes)
    counts = check_counts(name, counts)
    if len(counts) != n_classes:
        raise ValueError(f"{name} must have n_classes ({n_classes}) entries, got {len(counts)}")
    return counts
