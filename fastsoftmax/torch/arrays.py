"""Tensors as arrays for the kernels, and the kernels' gradients as tensors."""

from typing import NamedTuple

import torch


def array_of(tensor):
    """The values of a tensor on the CPU as an array: a view, or a float32 copy of bfloat16, which NumPy lacks."""
    if tensor is None:
        return None
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def tensor_of(array):
    """A tensor with the memory of `array`, or None."""
    return None if array is None else torch.from_numpy(array)


class RowGradient(NamedTuple):
    """A gradient that is zero but for some rows, the first axis, of an array of this shape."""

    rows: torch.Tensor  # (m,) int64, distinct and ascending
    values: torch.Tensor  # (m, ...)
    shape: tuple
    is_sparse: bool  # whether its tensor has the layout torch.sparse_coo

    def mul_(self, factor):
        self.values.mul_(factor)
        return self

    def to(self, dtype):
        """The gradient as a tensor."""
        values = self.values.to(dtype)
        if not self.is_sparse:
            return values.new_zeros(self.shape).index_copy_(0, self.rows, values)
        options = {"is_coalesced": True, "check_invariants": False}  # said aloud, or torch warns
        return torch.sparse_coo_tensor(self.rows[None], values, self.shape, **options)
