"""Loss and gradient, and the fused optimiser step, of a linear softmax on CSR input, beside scikit-learn and torch.

    python -m benches.csr_linear [problem ...] [--float64]

Each peer runs in turns with ours in one process, with the same number of threads; medians in milliseconds.
"""

import argparse
import time

import numpy as np
import scipy.sparse as sp

from fastsoftmax import _memory, linear_cross_entropy, optimizers
from fastsoftmax._model import Model, Runner

PROBLEMS = {  # rows, features, classes, entries a row
    "8000x20k-K1000": (8000, 20_000, 1000, 50),
    "1024x50k-K4000": (1024, 50_000, 4000, 64),
    "512x100k-K10000": (512, 100_000, 10_000, 64),
}
LEARNING_RATE = 0.1


def zipf_csr(n_rows, n_features, n_entries, dtype, seed=0):
    """Rows of distinct features drawn by Zipf's law with exponent 1; features in random order."""
    rng = np.random.default_rng(seed)
    log_p = -np.log(np.arange(1, n_features + 1))
    ranks = np.empty((n_rows, n_entries), np.int64)
    for i in range(n_rows):  # the largest of log p + Gumbel noise: a draw without replacement
        ranks[i] = np.argpartition(-(log_p + rng.gumbel(size=n_features)), n_entries)[:n_entries]
    indices = np.sort(rng.permutation(n_features)[ranks], axis=1).astype(np.int32)
    data = rng.standard_normal(indices.shape, dtype=np.float32)
    indptr = np.arange(0, indices.size + 1, n_entries, dtype=np.int32)
    return sp.csr_array((data.ravel().astype(dtype), indices.ravel(), indptr), shape=(n_rows, n_features))


def side_by_side(ours, peer, min_seconds=2.0, min_repeats=3):
    """Median milliseconds of both, run in turns: a machine's speed may change from second to second."""
    ours(), peer()
    times, begin = [], time.perf_counter()
    while len(times) < min_repeats or time.perf_counter() - begin < min_seconds:
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        peer()
        times.append((middle - start, time.perf_counter() - middle))
    return 1e3 * np.median(times, axis=0)


def sklearn_loss_gradient(X, W, y, bias, n_threads):
    from sklearn._loss import HalfMultinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    n_classes, n_features = W.shape
    loss = LinearModelLoss(base_loss=HalfMultinomialLoss(n_classes=n_classes), fit_intercept=True)
    coef = np.empty((n_classes, n_features + 1), W.dtype, order="F")
    coef[:, :-1], coef[:, -1] = W, bias
    target = y.astype(W.dtype)
    return lambda: loss.loss_gradient(coef, X, target, n_threads=n_threads)


class Torch:
    """embedding_bag + cross_entropy with autograd; `sparse`: the gradient as rows of the features that occur."""

    def __init__(self, X, W, y, bias, sparse):
        import torch

        self.torch, self.sparse = torch, sparse
        self.indices, self.offsets = torch.from_numpy(X.indices), torch.from_numpy(X.indptr[:-1])
        self.x, self.y = torch.from_numpy(X.data), torch.from_numpy(y)
        self.W = torch.from_numpy(W.T).requires_grad_()  # (n_features, n_classes): shares memory with W
        self.bias = torch.from_numpy(bias).requires_grad_()
        self.optimizer = None

    def with_optimizer(self, name):
        kind = {"sgd": self.torch.optim.SGD, "adagrad": self.torch.optim.Adagrad}[name]
        self.optimizer = kind([self.W, self.bias], lr=LEARNING_RATE)
        return self

    def loss_gradient(self):
        functional = self.torch.nn.functional
        self.W.grad = self.bias.grad = None
        z = functional.embedding_bag(
            self.indices, self.W, self.offsets, mode="sum", per_sample_weights=self.x, sparse=self.sparse
        )
        functional.cross_entropy(z + self.bias, self.y).backward()

    def step(self):
        self.loss_gradient()
        self.optimizer.step()


def step_of(X, W, y, bias, name, n_threads):
    model = Model(W=W, bias=bias)
    optimizer = optimizers.make(name, LEARNING_RATE, 0.0)
    model.prepare(optimizer)
    runner, rows = Runner(model, X, n_threads=n_threads), np.arange(X.shape[0])
    return lambda: runner.step(rows, y, optimizer)


def measure(name, dtype, n_threads, skip):
    n_rows, n_features, n_classes, n_entries = PROBLEMS[name]
    X = zipf_csr(n_rows, n_features, n_entries, dtype)
    rng = np.random.default_rng(1)
    W = rng.random((n_features, n_classes), dtype=dtype)
    W *= 0.1
    W, bias = W.T, np.zeros(n_classes, dtype)
    y = rng.integers(0, n_classes, n_rows)
    touched = len(np.unique(X.indices)) * n_classes * W.itemsize
    ceiling = 2 * X.nnz * n_classes  # multiply-adds of both passes
    print(f"\n## {name} {np.dtype(dtype).name}, {n_threads} threads")
    print(f"touched columns of W {touched / 1e6:.0f} MB, {ceiling / 1e9:.2f} G multiply-adds")

    print(f"{'':34s}    ours    peer   ratio")

    def compare(what, ours, peer):
        mine, theirs = side_by_side(ours, peer)
        print(f"{what:34s} {mine:7.1f} {theirs:7.1f} ms {theirs / mine:5.2f}", flush=True)

    def ours():
        linear_cross_entropy(X, W, y, bias, return_grad=True, n_threads=n_threads)

    if "sklearn" not in skip and _memory.available() < 6 * W.nbytes:
        print("scikit-learn: left out, it needs five arrays of W's size")
    elif "sklearn" not in skip:
        compare("loss and gradient: scikit-learn", ours, sklearn_loss_gradient(X, W, y, bias, n_threads))
    for sparse in (False, True) if "torch" not in skip else ():
        compare(f"  torch, sparse={sparse}", ours, Torch(X, W, y, bias, sparse).loss_gradient)
    for optimizer in ("sgd", "adagrad") if "torch" not in skip else ():
        step = step_of(X, W, y, bias, optimizer, n_threads)
        for sparse in (False, True):
            peer = Torch(X, W, y, bias, sparse).with_optimizer(optimizer)
            compare(f"step, {optimizer}: torch, sparse={sparse}", step, peer.step)
            del peer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip", nargs="*", default=[], choices=["sklearn", "torch"])
    args = parser.parse_args()
    if "torch" not in args.skip:
        import torch

        torch.set_num_threads(args.threads)
    for name in args.problems:
        measure(name, np.float64 if args.float64 else np.float32, args.threads, args.skip)


if __name__ == "__main__":
    main()
