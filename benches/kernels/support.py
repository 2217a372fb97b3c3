"""A sparse direct term: loss, gradient and optimiser step along the support, from ten thousand to ten million classes."""

from functools import partial

import numpy as np

from fastsoftmax import linear_cross_entropy
from fastsoftmax.kernels import batch as batch_kernel
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.passes import pairs
from fastsoftmax.passes.pairs_base import Base
from fastsoftmax.runtime import threads, workspaces

from . import problems
from .case import OURS, Case

RATES = {SGD: problems.LEARNING_RATE, Adagrad: problems.LEARNING_RATE}
DENSE_CLASSES = 10_000  # a dense W of more does not fit into memory


def ours(rule, n_threads, p):
    n_threads = threads.resolve(n_threads)
    batch = batch_kernel.RowReader(p.X.shape[1]).take(p.X.indptr, p.X.indices, p.X.data, np.arange(p.X.shape[0]))
    base, workspace = Base(p.bias, n_threads), workspaces.Workspace()
    weights = pairs.PairWeights(p.W.shape[0], p.W.indptr, p.W.indices, p.W.data)
    weights = weights.with_base(base, pairs.pairs_before(p.X, np.diff(p.W.indptr))[-1])
    scale = np.full(p.X.shape[0], 1.0 / p.X.shape[0])
    rule = rule().rule(RATES[rule])

    def call():
        forward = pairs.PairsForward(batch, weights, base, p.target, n_threads=n_threads, workspace=workspace)
        loss = scale @ forward.nll
        forward.backward(scale, weights.data, state=p.state if rule.has_state else None, rule=rule)
        return loss

    return call


def dense(p):
    """Compute loss and gradient with the same W as a dense array, without the step."""
    W = np.asfortranarray(p.W.toarray())
    return lambda: linear_cross_entropy(p.X, W, p.target, p.bias, return_grad=True)[0]


def reset(p):
    p.W.data[:] = p.kept
    p.state.fill(problems.INITIAL_STATE)


def cases():
    for n_classes in problems.SUPPORT_CLASSES:
        for rule in (SGD, Adagrad):
            implementations = {OURS: partial(ours, rule, None), f"{OURS}, one thread": partial(ours, rule, 1)}
            if n_classes <= DENSE_CLASSES:
                implementations[f"{OURS}, dense W, no step"] = dense
            yield Case(
                family="support",
                problem=f"support: {rule.__name__} step",
                shape=n_classes,
                inputs=partial(problems.support, n_classes),
                implementations=implementations,
                probe=lambda p, loss: [loss],
                reset=reset,
            )
