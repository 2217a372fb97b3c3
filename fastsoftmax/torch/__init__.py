"""Losses of linear heads over very many classes for PyTorch, on CPUs: docs/torch.md.

`autograd` has the one Function that stands between our kernels and torch's gradients, `losses` what it computes, `operator`
what `torch.compile` sees, `functions` and `modules` what users call in the place of F.cross_entropy and nn.Linear.

May import: `linear`, `sampled` and what is below them, and torch.
"""

try:
    import torch  # noqa: F401  (the package of that name: imports here are absolute)
except ImportError as error:
    raise ImportError('fastsoftmax.torch needs PyTorch: pip install "fastsoftmax[torch]"') from error

from fastsoftmax.torch.functions import cross_entropy_head, sampled_cross_entropy_head
from fastsoftmax.torch.modules import LinearCrossEntropy, SampledSoftmax, TopK

__all__ = ["LinearCrossEntropy", "SampledSoftmax", "TopK", "cross_entropy_head", "sampled_cross_entropy_head"]


def __dir__():
    return sorted(__all__)  # what tab completion shows
