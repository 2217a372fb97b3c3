"""The Function by which torch's backward gets the gradients that a kernel has computed beside the loss."""

import torch

NO_SECOND = (
    "the losses of fastsoftmax.torch have no second derivatives: their gradients cannot be differentiated, so backward and "
    "autograd.grad refuse create_graph=True"
)


def needed(*tensors):
    """Which of these tensors, or None, need a gradient now."""
    is_enabled = torch.is_grad_enabled()
    return tuple(is_enabled and tensor is not None and tensor.requires_grad for tensor in tensors)


class KernelLoss(torch.autograd.Function):
    """A loss whose gradients are computed in the forward pass, where that is how the kernels are fastest.

    The first backward pass gives them away, so nobody holds K x d numbers twice and whoever gets them may write to them. A
    further one, after retain_graph=True, computes them anew.
    """

    @staticmethod
    def forward(ctx, work, needs, hidden, weight, bias, *others):
        """The loss of `work`, which has ``run(hidden, weight, bias, needs, grad_loss)`` -> loss, gradients.

        `needs` says which of the three tensors need a gradient; `others` are tensors that `work` reads as well. If the
        gradients depend on those of the losses, as without a reduction, `gradients` is None where there is no `grad_loss`.
        """
        loss, gradients = work.run(hidden, weight, bias, needs)
        ctx.work, ctx.needs, ctx.gradients, ctx.n_others = work, needs, gradients, len(others)
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in (hidden, weight, bias)]
        ctx.save_for_backward(hidden, weight, bias, *others)
        return loss

    @staticmethod
    def backward(ctx, grad_loss):
        if torch.is_grad_enabled():
            raise RuntimeError(NO_SECOND)
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            inputs = ctx.saved_tensors[:3]  # raises where one was changed meanwhile
            _, gradients = ctx.work.run(*inputs, ctx.needs, grad_loss)
        if grad_loss.ndim == 0 and grad_loss.item() != 1:
            gradients = [None if gradient is None else gradient.mul_(grad_loss) for gradient in gradients]
        gradients = (
            None if gradient is None else gradient.to(dtype)
            for gradient, dtype in zip(gradients, ctx.dtypes, strict=True)
        )  # fmt: skip
        return None, None, *gradients, *(None,) * ctx.n_others
