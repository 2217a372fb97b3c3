"""Losses of a linear head as functions of tensors."""

import numpy as np
import torch

from fastsoftmax.torch import operator
from fastsoftmax.torch.arrays import array_of
from fastsoftmax.torch.autograd import KernelLoss, needed
from fastsoftmax.torch.losses import FullLoss, SampledLoss
from fastsoftmax.validation import check_bool, check_head_tensors, check_int, check_option, check_tensor

__all__ = ["cross_entropy_head", "sampled_cross_entropy_head"]


def cross_entropy_head(
    hidden,
    weight,
    target,
    bias=None,
    *,
    class_weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
    gradient_threshold=0.0,
    n_threads=None,
):
    """Cross-entropy of ``softmax(hidden weight^T + bias)`` without the logits in memory.

    It takes the place of ``F.cross_entropy(F.linear(hidden, weight, bias), target)``.

    Parameters
    ----------
    hidden : (..., in_features) tensor
    weight : (n_classes, in_features) tensor
        float32, float64 or bfloat16, on the CPU, as all of them; in any strides. Only bfloat16 is copied: it is widened, and
        everything is computed in float32. bfloat16 and float32 may come together, as they do under autocast.
    target : (...) tensor of integers
        Class codes in [0, n_classes), or `ignore_index`.
    bias : (n_classes,) tensor, optional
    class_weight : (n_classes,) tensor, optional
        The weight of each class, which is not negative. It has no gradient.
    ignore_index : int
        Rows with this target count in neither the loss nor the gradients.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the targets' weights, as torch does; it is NaN if no row counts, but the gradients are
        then zero.
    label_smoothing : float in [0, 1]
    gradient_threshold : float in [0, 1)
        Above 0, smaller probabilities are rounded in the gradients, at random and without bias, as in
        `fastsoftmax.linear_cross_entropy`. torch's generator of random numbers decides how.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process. It says nothing of the threads of torch's operators.

    Returns
    -------
    loss : tensor, a scalar, or for "none" of the shape of `target`
        float64 where the weight is, otherwise float32.

    Notes
    -----
    The gradients that are needed are computed together with the loss: three matrix products in all, none of them under
    ``torch.no_grad``. They are kept until the first backward pass. Without a reduction they depend on the gradient of each
    row's loss: then the loss takes one product, and the backward pass three.

    Second derivatives are refused with a RuntimeError. Under `torch.compile` it is one operator of the graph.
    """
    check_head_tensors(hidden, weight, bias, target)
    check_option("reduction", reduction, ("mean", "sum", "none"))
    if class_weight is not None:
        check_tensor("class_weight", class_weight)
    needs, seed = needed(hidden, weight, bias), None
    if gradient_threshold and any(needs):
        seed = torch.randint(2**63 - 1, (), device="cpu")
    work = FullLoss(
        target.reshape(-1), class_weight, seed, reduction, ignore_index, label_smoothing, gradient_threshold, n_threads
    )
    rows = hidden.reshape(-1, weight.shape[1]) if weight.shape[1] else hidden.reshape(target.numel(), 0)
    if torch.compiler.is_compiling():
        loss = operator.compiled_loss(work, needs, rows, weight, bias)
    else:
        loss = KernelLoss.apply(work, needs, rows, weight, bias, work.target, class_weight)
    return loss.reshape(target.shape) if reduction == "none" else loss


@torch.compiler.disable
def sampled_cross_entropy_head(
    hidden,
    weight,
    target,
    bias=None,
    *,
    class_ids,
    log_expected_counts=None,
    target_log_expected_counts=None,
    loss="sampled_softmax",
    remove_accidental_hits=None,
    ignore_index=-100,
    reduction="mean",
    sparse=False,
    n_threads=None,
):
    """The loss of a linear head by candidate sampling, in which all rows share the negatives.

    Only the rows of `weight` of drawn and true classes are read, and only they have gradients.

    Parameters
    ----------
    hidden : (..., in_features) tensor
    weight : (n_classes, in_features) tensor
        float32, float64 or bfloat16, on the CPU, as all of them. Only bfloat16 is copied, as a whole: it is widened, and
        everything is computed in float32.
    target : (...) tensor of integers
        The true class of each row, in [0, n_classes), or `ignore_index`.
    bias : (n_classes,) tensor, optional
    class_ids : (n,) tensor or array of integers
    log_expected_counts : (n,) tensor or array
        The drawn classes, and the logarithms of how often each of them was expected, as the `draw` of a sampler of
        `fastsoftmax.samplers` returns them.
    target_log_expected_counts : tensor or array like `target`, optional
        The same for the true classes.
    loss : {"sampled_softmax", "nce", "sampled_logistic", "negative_sampling"}
    remove_accidental_hits : bool, optional
        As in `fastsoftmax.sampled_cross_entropy`, which has the formulas.
    ignore_index : int
        Rows with this target do not count.
    reduction : {"mean", "sum"}
        The mean over no rows is NaN.
    sparse : bool
        Give `weight` and `bias` sparse gradients (torch.sparse_coo, each row once), as ``nn.Embedding(sparse=True)`` does, for
        SparseAdam, SGD and Adagrad. A dense one costs a pass over all of `weight`.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.

    Returns
    -------
    loss : tensor, a scalar
        float64 where the weight is, otherwise float32.

    Notes
    -----
    Second derivatives are refused with a RuntimeError. `torch.compile` runs it outside its graph, which it breaks.
    """
    check_head_tensors(hidden, weight, bias, target)
    is_sum = check_option("reduction", reduction, ("mean", "sum")) == "sum"
    is_sparse = check_bool("sparse", sparse)
    given = {
        "class_ids": class_ids,
        "log_expected_counts": log_expected_counts,
        "target_log_expected_counts": target_log_expected_counts,
    }
    options = {name: _as_array(name, values) for name, values in given.items()}
    options |= {"loss": loss, "remove_accidental_hits": remove_accidental_hits, "n_threads": n_threads}
    rows = hidden.reshape(target.numel(), weight.shape[1])
    target = target.reshape(-1)
    counted = target != check_int("ignore_index", ignore_index)
    of_targets = options["target_log_expected_counts"]
    if of_targets is not None:
        of_targets = options["target_log_expected_counts"] = np.reshape(of_targets, -1)
    if not counted.all():
        rows, target = rows[counted], target[counted]
        if of_targets is not None and len(of_targets) == len(counted):
            options["target_log_expected_counts"] = of_targets[counted.numpy()]
    work = SampledLoss(target, options, is_sum, is_sparse)
    return KernelLoss.apply(work, needed(hidden, weight, bias), rows, weight, bias, target)


def _as_array(name, values):
    if not isinstance(values, torch.Tensor):
        return values
    check_tensor(name, values)
    return array_of(values)
