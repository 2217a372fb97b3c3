"""A linear model on CSR input: loss and gradient, and the fused SGD and Adagrad steps."""

from functools import partial

import numpy as np

from fastsoftmax import linear_cross_entropy
from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.runtime import threads

from . import limits, problems
from .case import MAX_BYTES, OURS, Case

RATES = {SGD: problems.SGD_LEARNING_RATE, Adagrad: problems.LEARNING_RATE}


def ours_gradient(p):
    def call():
        loss, (_, dW, _) = linear_cross_entropy(p.X, p.W, p.target, return_grad=True)
        return loss, dW

    return call


def ours_out(p):
    """As `ours_gradient`, but into the array of the call before."""
    out = None, np.zeros(p.W.shape, p.W.dtype, order="F"), None

    def call():
        loss, (_, dW, _) = linear_cross_entropy(p.X, p.W, p.target, return_grad=True, out=out)
        return loss, dW

    return call


def ours_sparse_gradient(p):
    def call():
        loss, (_, columns, dW, _) = linear_cross_entropy(p.X, p.W, p.target, return_grad=True, sparse_grad=True)
        return loss, columns, dW

    return call


GRADIENTS = {"loss, gradient": ours_gradient, "gradient, out": ours_out, "sparse gradient": ours_sparse_gradient}


def ours_step(rule, p):
    rows, state = np.arange(p.X.shape[0]), p.state if rule is Adagrad else {}
    runner = Runner(Model(W=p.W, bias=p.bias, state=state), p.X, n_threads=threads.resolve(None))
    rule, scale = rule().rule(RATES[rule]), np.full(len(rows), 1 / len(rows))

    def call():
        return runner.step(rows, p.target, scale, rule)

    return call


def sklearns(p):
    from sklearn._loss import HalfMultinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    loss = LinearModelLoss(HalfMultinomialLoss(n_classes=len(p.W)), fit_intercept=False)
    target, n_threads = p.target.astype(p.W.dtype), threads.resolve(None)
    return lambda: loss.loss_gradient(p.W, p.X, target, n_threads=n_threads)


class _Torch:
    """torch's embedding_bag and cross_entropy, forward and backward."""

    def __init__(self, sparse, p, has_bias):
        import torch

        self.torch, self.sparse = torch, sparse
        self.W = torch.from_numpy(p.W.T).requires_grad_()  # (features, classes)
        self.bias = torch.from_numpy(p.bias).requires_grad_() if has_bias else None
        self.indices, self.data = torch.from_numpy(p.X.indices), torch.from_numpy(p.X.data)
        self.offsets, self.target = torch.from_numpy(p.X.indptr[:-1]), torch.from_numpy(p.target)

    def backward(self):
        F = self.torch.nn.functional
        logits = F.embedding_bag(
            self.indices, self.W, self.offsets, mode="sum", per_sample_weights=self.data, sparse=self.sparse
        )
        if self.bias is not None:
            logits += self.bias
        loss = F.cross_entropy(logits, self.target)
        loss.backward()
        return loss.detach()


def torch_gradient(sparse, p):
    work = _Torch(sparse, p, has_bias=False)

    def call():
        result = work.backward(), work.W.grad
        work.W.grad = None
        return result

    return call


def torch_step(sparse, rule, p):
    work = _Torch(sparse, p, has_bias=True)
    torch, W, bias, rate = work.torch, work.W, work.bias, RATES[rule]
    if rule is Adagrad:
        state = torch.from_numpy(p.state["W"].T)
        optimizer = torch.optim.Adagrad([bias] if sparse else [W, bias], rate, fused=True)
        optimizer.state[bias]["sum"] = torch.from_numpy(p.state["bias"])
        if not sparse:
            optimizer.state[W]["sum"] = state
    else:
        optimizer = torch.optim.SGD([W, bias], rate)

    def sparse_adagrad():  # steps the rows that occur, like torch.optim.Adagrad but without its masks and copies
        gradient = W.grad.coalesce()
        rows, g = gradient.indices()[0], gradient.values()
        s = state.index_select(0, rows).addcmul_(g, g)
        state.index_copy_(0, rows, s)
        W.data.index_add_(0, rows, g.div_(s.sqrt_().add_(1e-10)), alpha=-rate)

    def call():
        loss = work.backward()
        if sparse and rule is Adagrad:
            sparse_adagrad()
        optimizer.step()
        W.grad = bias.grad = None
        return loss

    return call


# -- what the machine allows --


def same_products(p):
    """Time dense products with as many multiply-adds: (rows, entries a row) by (entries a row, classes), and back."""
    n_entries = p.X.nnz // p.X.shape[0]
    rng = np.random.default_rng(5)
    X = rng.random((p.X.shape[0], n_entries)).astype(p.W.dtype)
    W = rng.random((len(p.W), n_entries)).astype(p.W.dtype)
    return limits.products(X, W, gradients="W")


def touched_copy(p):
    """Time the least traffic: the weights of the features that occur are read, and as many numbers are written."""
    return limits.copy(np.ones((len(p.touched), len(p.W)), p.W.dtype))


# -- what has to agree --


def probe_gradient(p, result):
    if len(result) == 3:
        loss, columns, dW = result
        return [loss, dW[:, np.searchsorted(columns, p.probe)].T]
    loss, dW = result
    if isinstance(dW, np.ndarray):
        return [loss, dW[:, p.probe].T]
    if dW.is_sparse:
        import torch

        dW = dW.coalesce().index_select(0, torch.from_numpy(p.probe.astype(np.int64))).to_dense()
        return [loss, dW]
    return [loss, dW[p.probe]]


def probe_step(p, loss):
    return [loss, p.bias.copy(), p.W.T[p.probe] - p.kept[np.searchsorted(p.touched, p.probe)]]


def keep(rule, shape, dtype):
    p = problems.csr(shape, dtype)
    if not hasattr(p, "kept"):
        p.kept = p.W.T[p.touched]
    if rule is Adagrad and not p.state:
        p.state = {"W": np.zeros(p.W.T.shape, dtype).T, "bias": np.zeros_like(p.bias)}
    return p


def reset(rule, p):
    p.W.T[p.touched] = p.kept
    p.bias.fill(0)
    if rule is Adagrad:
        p.state["W"].T[p.touched] = problems.INITIAL_STATE
        p.state["bias"].fill(problems.INITIAL_STATE)


def _fits(implementations, n_arrays, shape, dtype):
    """Return those whose arrays of K x features fit into memory, and why the others are skipped."""
    array = shape[1] * shape[2] * np.dtype(dtype).itemsize
    skipped = {name: f"needs {n * array / 2**30:.0f} GiB" for name, n in n_arrays.items() if n * array > MAX_BYTES}
    return {name: make for name, make in implementations.items() if name not in skipped}, skipped


def cases():
    for dtype in "fd":
        for shape in problems.CSR_SHAPES:
            common = dict(family="csr", shape=shape, dtype=dtype, tolerance=1e-3 if dtype == "f" else 1e-7)
            common["limits"] = {"GEMMs": same_products, "copy": touched_copy}
            for problem, ours in GRADIENTS.items():
                if ours is ours_out and shape[1] * shape[2] * np.dtype(dtype).itemsize > MAX_BYTES // 2:
                    continue  # beside W and a peer's gradient
                implementations = {
                    OURS: ours,
                    "scikit-learn": sklearns,
                    "torch, dense gradient": partial(torch_gradient, False),
                    "torch, sparse gradient": partial(torch_gradient, True),
                }
                # arrays of K x features that each writes in full
                n_arrays = {OURS: ours is not ours_sparse_gradient, "scikit-learn": 3, "torch, dense gradient": 1}
                implementations, skipped = _fits(implementations, n_arrays, shape, dtype)
                yield Case(
                    problem=f"CSR: {problem}",
                    inputs=partial(problems.csr, shape, dtype),
                    implementations=implementations,
                    probe=probe_gradient,
                    skipped=skipped,
                    **common,
                )
            for rule in (SGD, Adagrad):
                implementations = {OURS: partial(ours_step, rule)}
                for name, sparse in (("torch, dense gradient", False), ("torch, sparse gradient", True)):
                    implementations[name] = partial(torch_step, sparse, rule)
                n_arrays = {"torch, dense gradient": 3 if rule is Adagrad else 2}
                implementations, skipped = _fits(implementations, n_arrays, shape, dtype)
                yield Case(
                    problem=f"CSR: {rule.__name__} step",
                    inputs=partial(keep, rule, shape, dtype),
                    implementations=implementations,
                    probe=probe_step,
                    reset=partial(reset, rule),
                    rounding=3e-5 if dtype == "f" else 1e-13,  # torch adds thousands of entries one by one
                    skipped=skipped,
                    **common,
                )
