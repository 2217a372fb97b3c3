"""The same for `fastsoftmax.torch`. Where PyTorch is not installed, its types are not checked."""

from typing import assert_type

import torch

from fastsoftmax.torch import LinearCrossEntropy, SampledSoftmax, TopK, cross_entropy_head, sampled_cross_entropy_head


def main() -> None:
    hidden, target = torch.randn(8, 4), torch.arange(8) % 5
    exact = LinearCrossEntropy(4, 5, bias=False, label_smoothing=0.1)
    sampled = SampledSoftmax(4, 5, 3, sampler="uniform", sparse=True)
    loss: torch.Tensor = exact(hidden, target) + sampled(hidden, target)
    assert_type(exact.topk(hidden, 2), TopK)
    loss = cross_entropy_head(hidden, exact.weight, target, reduction="sum")
    loss = sampled_cross_entropy_head(
        hidden, exact.weight, target, class_ids=torch.tensor([0, 1]), log_expected_counts=torch.zeros(2)
    )
    print(loss, sampled.log_prob(hidden).shape)


if __name__ == "__main__":
    main()
