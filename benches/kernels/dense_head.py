"""A dense head: loss and gradients (of a trained one rounded, too), the fused step with Adagrad, and the top 20 classes."""

from functools import partial

import numpy as np

from fastsoftmax import linear_cross_entropy, linear_topk
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.runtime import threads

from . import limits, problems
from .case import MAX_BYTES, OURS, Case

THRESHOLD = 3e-4  # of the rounded gradients
N_CHUNKS = 4  # of rows, in the peers that go by chunks
TORCH_ROUNDING = {problems.DENSE_SHAPES[3]: 5e-5}  # cross_entropy adds 10M exponentials in float32; our error is 2e-8
COPIES = {"torch cross_entropy": 3, "torch topk": 1}  # of the logits, which exist at the same time


def ours_gradients(p):
    def call():
        loss, (dX, dW, _) = linear_cross_entropy(p.X, p.W, p.target, return_grad=True)
        return loss, dX, dW

    return call


def ours_in_torch(X, W, bias, target):
    """The same for torch's parameters, by its backward; see TORCH_WAYS."""
    from fastsoftmax.torch import cross_entropy_head

    loss = cross_entropy_head(X, W, target, bias)
    loss.backward()
    return loss.detach()


def ours_trained(threshold, p):
    out = np.empty_like(p.X), np.empty_like(p.W), np.empty_like(p.bias)
    options = {"return_grad": True, "gradient_threshold": threshold, "random_state": 0, "out": out}
    return lambda: linear_cross_entropy(p.X, p.W, p.target, p.bias, **options)


def ours_step(p):
    rows, rule = np.arange(len(p.X)), Adagrad().rule(problems.LEARNING_RATE)
    scale = np.full(len(rows), 1 / len(rows))
    runner = Runner(Model(W=p.W, bias=p.bias, state=p.state), p.X, n_threads=threads.resolve(None))

    def call():
        return runner.step(rows, p.target, scale, rule)

    return call


def ours_topk(p):
    return lambda: linear_topk(p.X, p.W, problems.TOP_K)


# -- ways to compute the loss and run backward in torch; X, W and bias are leaves --


def torch_whole(X, W, bias, target):
    import torch.nn.functional as F

    loss = F.cross_entropy(F.linear(X, W, bias), target)
    loss.backward()
    return loss.detach()


def torch_chunks(X, W, bias, target):
    import torch.nn.functional as F

    total = 0.0
    for x, t in zip(X.chunk(N_CHUNKS), target.chunk(N_CHUNKS), strict=True):
        loss = F.cross_entropy(F.linear(x, W, bias), t, reduction="sum") / len(target)
        loss.backward()
        total = total + loss.detach()
    return total


def torch_linear_cross_entropy(X, W, bias, target):
    """Use its chunked mode: without options it is cross_entropy(linear(X, W, bias)), which `torch_whole` is."""
    import torch

    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=len(X) // N_CHUNKS)
    loss = torch.nn.functional.linear_cross_entropy(X, W, target, linear_bias=bias, options=options)
    loss.backward()
    return loss.detach()


TORCH_WAYS = {
    "torch cross_entropy": torch_whole,
    "torch cross_entropy, 4 chunks": torch_chunks,
    "torch linear_cross_entropy, 4 chunks": torch_linear_cross_entropy,
}


def _check_installed(way):
    import torch

    if way is torch_linear_cross_entropy and not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        raise ImportError("this torch has no LinearCrossEntropyOptions")
    return torch


def torch_gradients(way, p):
    torch = _check_installed(way)
    X, W = (torch.from_numpy(a).requires_grad_() for a in (p.X, p.W))
    target = torch.from_numpy(p.target)

    def call():
        result = way(X, W, None, target), X.grad, W.grad
        X.grad = W.grad = None
        return result

    return call


def torch_step(way, p):
    torch = _check_installed(way)
    X, target = torch.from_numpy(p.X), torch.from_numpy(p.target)
    W, bias = (torch.from_numpy(a).requires_grad_() for a in (p.W, p.bias))
    optimizer = torch.optim.Adagrad([W, bias], problems.LEARNING_RATE, fused=True)
    optimizer.state[W]["sum"] = torch.from_numpy(p.state["W"])
    optimizer.state[bias]["sum"] = torch.from_numpy(p.state["bias"])

    def call():
        optimizer.zero_grad(set_to_none=True)
        loss = way(X, W, bias, target)
        optimizer.step()
        W.grad = bias.grad = None
        return loss

    return call


def torch_topk(p):
    import torch

    X, W = torch.from_numpy(p.X), torch.from_numpy(p.W)

    def call():
        logits = X @ W.T
        values, class_ids = torch.topk(logits, problems.TOP_K)
        return class_ids, values - torch.logsumexp(logits, 1, keepdim=True)

    return call


# -- what has to agree --


def probe_gradients(p, result):
    loss, dX, dW = result
    return [loss, dX, dW[p.probe]]


def probe_loss(p, result):
    return [
        result[0]
    ]  # gradients are rounded or not; benches/studies/gradient_threshold.py measures how far they differ


def probe_step(p, loss):
    return [loss] + [getattr(p, name)[p.probe] - p.kept[name][p.probe] for name in p.names]


def probe_topk(p, result):
    return [result[1]]  # not the class ids, which may differ where logits are equal


def step_inputs(shape):
    p = problems.dense(shape)
    if not p.state:
        p.state = {"W": np.empty_like(p.W), "bias": np.empty_like(p.bias)}
        p.keep()
    return p


def _fits(ways, shape):
    """Return the ways whose arrays fit into memory, and why the others are skipped."""
    n_rows, n_classes, d = shape
    skipped = {}
    for name in ways:
        n_values = COPIES.get(name, 1) * n_rows * n_classes + 4 * n_classes * d
        if 4 * n_values > MAX_BYTES:
            skipped[name] = f"needs {4 * n_values / 2**30:.0f} GiB"
    return {name: make for name, make in ways.items() if name not in skipped}, skipped


def cases():
    for shape in problems.DENSE_SHAPES:
        for problem, our_make, torch_ways, gradients, probe, inputs in (
            ("loss, gradients", ours_gradients, TORCH_WAYS, "XW", probe_gradients, problems.dense),
            ("top 20", ours_topk, {"torch topk": torch_topk}, "", probe_topk, problems.dense),
            ("Adagrad step", ours_step, TORCH_WAYS, "XW", probe_step, step_inputs),
        ):
            ways, skipped = _fits(torch_ways, shape)
            if problem != "top 20":
                make = torch_step if problem == "Adagrad step" else torch_gradients
                ways = {name: partial(make, way) for name, way in ways.items()}
            yield Case(
                family="dense",
                problem=problem,
                shape=shape,
                inputs=partial(inputs, shape),
                implementations={OURS: our_make} | ways,
                limits={
                    "3 GEMMs" if gradients else "1 GEMM": lambda p, g=gradients: limits.products(p.X, p.W, gradients=g)
                },
                probe=probe,
                rounding=TORCH_ROUNDING.get(shape, 0.0),
                reset=problems.Parameters.reset if problem == "Adagrad step" else lambda p: None,
                skipped=skipped,
            )
    yield Case(
        family="dense",
        problem="head of a torch model: loss, gradients",
        shape=problems.DENSE_SHAPES[0],
        inputs=partial(problems.dense, problems.DENSE_SHAPES[0]),
        implementations={OURS: ours_gradients, f"{OURS}, torch head": partial(torch_gradients, ours_in_torch)},
        limits={"3 GEMMs": lambda p: limits.products(p.X, p.W, gradients="XW")},
        probe=probe_gradients,
    )
    for shape in (problems.DENSE_SHAPES[0], problems.DENSE_SHAPES[2], problems.DENSE_SHAPES[4]):
        yield Case(
            family="dense",
            problem="trained head: loss, rounded gradients",
            shape=shape,
            inputs=partial(problems.trained, shape),
            implementations={
                OURS: partial(ours_trained, THRESHOLD),
                "fastsoftmax, exact gradients": partial(ours_trained, 0.0),
            },
            limits={"1 GEMM": lambda p: limits.products(p.X, p.W)},
            probe=probe_loss,
        )
