"""The full loss as one operator of a graph, for torch.compile, which cannot look into our kernels.

Outside of a graph `autograd.KernelLoss` does the same with less memory traffic: it gives its gradients away. Those of an
operator have to stay as they are, so a compiled backward pass multiplies them by the gradient of the loss even where it is 1.
"""

import torch

from fastsoftmax.torch.autograd import NO_SECOND
from fastsoftmax.torch.losses import FullLoss

SCHEMA = (
    "(Tensor hidden, Tensor weight, Tensor? bias, Tensor? grad_loss, bool[] needs, Tensor target, Tensor? class_weight, "
    "Tensor? seed, str reduction, int ignore_index, float label_smoothing, float gradient_threshold, int? n_threads)"
    " -> (Tensor, Tensor, Tensor, Tensor)"
)


def compiled_loss(work, needs, hidden, weight, bias):
    """The loss of a FullLoss, as torch.compile traces it."""
    return linear_head(hidden, weight, bias, None, list(needs), *work)[0]


@torch.library.custom_op("fastsoftmax::linear_head", mutates_args=(), schema=SCHEMA)
def linear_head(hidden, weight, bias, grad_loss, needs, *work):
    """The loss, and the gradients that `needs` asks for; empty tensors stand for the others."""
    loss, gradients = FullLoss(*work).run(hidden, weight, bias, needs, grad_loss)
    inputs = (hidden, weight, bias)
    return loss, *(
        hidden.new_empty(0) if gradient is None else gradient.to(tensor.dtype)
        for tensor, gradient in zip(inputs, gradients or (None,) * 3, strict=True)
    )


@linear_head.register_fake
def _(hidden, weight, bias, grad_loss, needs, *work):
    """Empty tensors in the forms of the results."""
    reduction = FullLoss(*work).reduction
    loss = hidden.new_empty(
        hidden.shape[:1] if reduction == "none" else (),
        dtype=torch.float64 if weight.dtype == torch.float64 else torch.float32,
    )
    if reduction == "none" and grad_loss is None:
        needs = (False,) * 3
    is_transposed = weight.t().is_contiguous() and not weight.is_contiguous()
    forms = (
        hidden.new_empty(hidden.shape),
        weight.new_empty(weight.shape[::-1]).t() if is_transposed else weight.new_empty(weight.shape),
        None if bias is None else bias.new_empty(bias.shape),
    )
    gradients = (form if is_needed else hidden.new_empty(0) for form, is_needed in zip(forms, needs, strict=True))
    return loss, *gradients


def _keep(ctx, inputs, output):
    hidden, weight, bias, _, ctx.needs, target, class_weight, seed, *ctx.options = inputs
    ctx.is_reduced = FullLoss(target, class_weight, seed, *ctx.options).reduction != "none"
    ctx.set_materialize_grads(False)  # zeros for the gradients' own gradients would be K x d numbers
    ctx.save_for_backward(*(output[1:] if ctx.is_reduced else (hidden, weight, bias, target, class_weight, seed)))


def _backward(ctx, grad_loss, *grad_gradients):
    if any(gradient is not None for gradient in grad_gradients):
        raise RuntimeError(NO_SECOND)
    gradients = (None,) * 3
    if grad_loss is not None and ctx.is_reduced:
        gradients = [grad_loss * gradient for gradient in ctx.saved_tensors]
    elif grad_loss is not None:
        hidden, weight, bias, *work = ctx.saved_tensors
        gradients = linear_head(hidden, weight, bias, grad_loss, ctx.needs, *work, *ctx.options)[1:]
    of_inputs = (gradient if need else None for gradient, need in zip(gradients, ctx.needs, strict=True))
    return *of_inputs, *(None,) * 10


linear_head.register_autograd(_backward, setup_context=_keep)
