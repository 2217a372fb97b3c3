"""What the machine allows, measured in the same run: reading, copying, matrix products."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from fastsoftmax.runtime import threads

from . import timing

SIDE = 3072  # of the matrices of `machine_rates`
MAX_PRODUCT = 1 << 27  # elements of a product; larger ones are computed in blocks of classes


@cache
def _pool():
    return ThreadPoolExecutor(threads.resolve(None))


def _parts(a):
    return np.array_split(a.reshape(-1), threads.resolve(None))


def read(a):
    """Return a call that finds the largest element, which reads all once."""
    parts = _parts(a)
    return lambda: list(_pool().map(np.max, parts))


def copy(a):
    """Return a call that copies the array, which reads and writes all once."""
    parts, outs = _parts(a), _parts(np.ones(a.size, a.dtype))
    return lambda: list(_pool().map(np.copyto, outs, parts))


def products(X, W, *, gradients=""):
    """Return a call that computes P = X W^T and, if `gradients` contains "X" or "W", the products P W and P^T X.

    It uses NumPy or torch, whichever is faster at this size.
    """
    block = max(1, MAX_PRODUCT // len(X))
    P = np.empty((len(X), min(block, len(W))), X.dtype)
    dX, dW = np.empty_like(X), np.empty((P.shape[1], X.shape[1]), X.dtype)

    def run(multiply, X, W, P, dX, dW):
        for start in range(0, len(W), block):
            w = W[start : start + block]
            p = P if len(w) == P.shape[1] else P.reshape(-1)[: len(X) * len(w)].reshape(len(X), len(w))
            multiply(X, w.T, out=p)
            if "X" in gradients:
                multiply(p, w, out=dX)
            if "W" in gradients:
                multiply(p.T, X, out=dW[: len(w)])

    ways = [lambda: run(np.matmul, X, W, P, dX, dW)]
    try:
        import torch
    except ImportError:
        return ways[0]
    tensors = [torch.from_numpy(a) for a in (X, W, P, dX, dW)]
    ways.append(lambda: run(torch.mm, *tensors))
    return min(ways, key=_second_time)


def machine_rates(budget):
    """Measure, for about `budget` seconds, bytes read a second, bytes copied (read and written), flops of float32 products."""
    a, A, B = np.ones(1 << 26, "f"), np.ones((SIDE, SIDE), "f"), np.ones((SIDE, SIDE), "f")
    calls = {"read": read(a), "copy": copy(a), "gemm": products(A, B)}
    for call in calls.values():
        call()
    least = {name: min(s) for name, s in timing.interleaved(calls, budget, pause=timing.BLAS_PAUSE).items()}
    return {"read": a.nbytes / least["read"], "copy": 2 * a.nbytes / least["copy"], "gemm": 2 * SIDE**3 / least["gemm"]}


def _second_time(call):
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
