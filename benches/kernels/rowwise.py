"""logsumexp, softmax, log_softmax and cross_entropy with its gradient, over rows and over columns."""

from functools import partial

import numpy as np
import scipy.special

from fastsoftmax import functional

from . import limits, problems
from .case import OURS, Case

FUNCTIONS = ["logsumexp", "softmax", "log_softmax", "cross_entropy"]


def ours(function, axis, p):
    call = getattr(functional, function)
    if function == "cross_entropy":
        return lambda: call(p.x, p.target, return_grad=True)
    if function == "logsumexp":
        return lambda: call(p.x, axis)
    out = np.empty_like(p.x)
    return lambda: (call(p.x, axis, out=out),)


def scipys(function, axis, p):
    call = getattr(scipy.special, function)
    return lambda: (call(p.x, axis=axis),)


def torchs(function, axis, p):
    import torch

    x = torch.from_numpy(p.x)
    if function == "cross_entropy":
        target = torch.from_numpy(p.target)
        x.requires_grad_()

        def forward_and_backward():
            loss = torch.nn.functional.cross_entropy(x, target)
            loss.backward()
            result, x.grad = (loss.detach(), x.grad), None
            return result

        return forward_and_backward
    call = getattr(torch, function)
    if function == "logsumexp":
        return lambda: call(x, axis)
    out = torch.empty_like(x)
    return lambda: (call(x, axis, out=out),)


PEERS = {OURS: ours, "torch": torchs, "scipy": scipys}


def limit(function, p):
    return limits.read(p.x) if function == "logsumexp" else limits.copy(p.x)


def probe(p, result):
    """Return up to a million elements of each output."""
    flat = [np.asarray(a).reshape(-1) for a in (result if isinstance(result, tuple) else (result,))]
    return [a[:: 1 + a.size // 1_000_000 * 7] for a in flat]


# torch adds ten million exponentials in float32: the error of its softmax is 2e-3 there, and that of ours is rounding
TOLERANCE = {(10_000_000, "f"): 5e-3}


def cases():
    rows = [(shape, 1, dtype) for dtype in "fd" for shape in problems.ROWWISE_SHAPES]
    columns = [(shape, 0, "f") for shape in problems.COLUMNWISE_SHAPES]
    for shape, axis, dtype in rows + columns:
        for function in FUNCTIONS if axis else FUNCTIONS[:3]:
            is_large = np.prod(shape) >= 1_000_000  # for less, threads cost more than the work
            yield Case(
                family="rowwise",
                problem="cross_entropy, gradient" if function == "cross_entropy" else function,
                shape=shape,
                dtype=dtype,
                inputs=partial(problems.rowwise, shape, dtype),
                implementations={
                    name: partial(make, function, axis)
                    for name, make in PEERS.items()
                    if (name, function) != ("scipy", "cross_entropy")
                },
                limits={"read" if function == "logsumexp" else "copy": partial(limit, function)} if is_large else {},
                probe=probe,
                tolerance=TOLERANCE.get((max(shape), dtype), 1e-3 if dtype == "f" else 1e-9),
            )
