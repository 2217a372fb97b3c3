"""logsumexp, softmax, log_softmax and cross_entropy with its gradient, over rows and over columns.

A benchmark is made by `PEERS[name](function, x, axis)`: what is to be timed, outputs already there where the peer takes
them. "limit" is what the memory allows: for logsumexp one read of the input (its largest element), for the others one
read and one write (a copy), by as many threads.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.special

from fastsoftmax import _threads, functional

from . import problems

FUNCTIONS = ["logsumexp", "softmax", "log_softmax", "cross_entropy"]
pytestmark = pytest.mark.benchmark(max_time=0.3, min_rounds=3)


def ours(function, x, axis):
    call = getattr(functional, function)
    if function == "cross_entropy":
        target = problems.target(*x.shape)
        return lambda: call(x, target, return_grad=True)
    if function == "logsumexp":
        return lambda: call(x, axis)
    out = np.empty_like(x)
    return lambda: call(x, axis, out=out)


def scipys(function, x, axis):
    call = getattr(scipy.special, function)
    return lambda: call(x, axis=axis)


def torchs(function, x, axis):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(x)
    if function == "cross_entropy":
        target = torch.from_numpy(problems.target(*x.shape))
        x.requires_grad_()

        def forward_and_backward():
            x.grad = None
            torch.nn.functional.cross_entropy(x, target).backward()

        return forward_and_backward
    call = getattr(torch, function)
    if function == "logsumexp":
        return lambda: call(x, axis)
    out = torch.empty_like(x)
    return lambda: call(x, axis, out=out)


def limit(function, x, axis):
    n_threads = _threads.resolve(None)
    pool = ThreadPoolExecutor(n_threads)
    parts = np.array_split(x.reshape(-1), n_threads)
    if function == "logsumexp":
        return lambda: list(pool.map(np.max, parts))
    outs = np.array_split(np.empty(x.size, x.dtype), n_threads)
    return lambda: list(pool.map(np.copyto, outs, parts))


PEERS = {"fastsoftmax": ours, "scipy": scipys, "torch": torchs, "limit": limit}


def cases():
    rows = [(f, shape, 1, dtype) for f in FUNCTIONS for shape in problems.ROWWISE_SHAPES for dtype in ("f", "d")]
    columns = [(f, shape, 0, "f") for f in FUNCTIONS[:3] for shape in problems.COLUMNWISE_SHAPES]
    for function, shape, axis, dtype in rows + columns:
        for peer in PEERS:
            if peer == "scipy" and function == "cross_entropy":
                continue
            if peer == "limit" and np.prod(shape) < 100:  # threads cost more than the work
                continue
            group = f"{function}-{problems.name_of(shape)}-axis{axis}-{np.dtype(dtype)}"
            yield pytest.param(function, shape, axis, dtype, peer, group, id=f"{group}-{peer}")


@pytest.mark.parametrize(("function", "shape", "axis", "dtype", "peer", "group"), list(cases()))
def test_rowwise(benchmark, function, shape, axis, dtype, peer, group):
    benchmark.group = group
    benchmark(PEERS[peer](function, problems.logits(shape, dtype), axis))
