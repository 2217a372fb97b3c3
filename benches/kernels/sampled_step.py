"""The sampled step of a low-rank model: draw, read the batch, h = x E, loss, gradients, row-wise Adagrad in place."""

from functools import partial

import numpy as np

from fastsoftmax.model.model import Model
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.passes.candidates import Candidates, Estimate
from fastsoftmax.runtime import threads
from fastsoftmax.samplers import Unigram
from fastsoftmax.training.step_losses import SampledLoss

from . import limits, problems
from .case import OURS, Case

STEPS = 8  # in a call
EPSILON = 1e-10


def ours(p):
    s = problems.SAMPLED
    runner = Runner(Model(E=p.E, V=p.V, bias=p.bias, state=p.state), p.X, n_threads=threads.resolve(None))
    rule, rng = Adagrad(epsilon=EPSILON).rule(problems.LEARNING_RATE), np.random.default_rng(0)
    sampling = SampledLoss(Unigram(p.counts), s.n_negatives)

    def step(rows, drawn=None):
        target = p.target[rows]
        estimate = sampling.estimate(target, rng) if drawn is None else Estimate(Candidates(target, *drawn))
        return runner.step(rows, target, np.full(len(rows), 1 / len(rows)), rule, estimate)

    def call(drawn=None):
        if drawn is not None:
            return step(np.arange(s.batch), drawn)
        order = rng.permutation(p.X.shape[0])
        for start in range(0, STEPS * s.batch, s.batch):
            step(order[start : start + s.batch])

    return call


def torchs(p):
    """Make the same step in torch, with gradients written by hand."""
    import torch

    s = problems.SAMPLED
    E, V, bias = (torch.from_numpy(a) for a in (p.E, p.V, p.bias))
    E_state, V_state, bias_state = (torch.from_numpy(p.state[name]) for name in ("E", "V", "bias"))
    shape = (p.X.shape[0], s.entries)  # all rows have the same number of entries
    indices = torch.from_numpy(p.X.indices.reshape(shape).astype(np.int64))
    data = torch.from_numpy(p.X.data.reshape(shape))
    target = torch.from_numpy(p.target)
    cumulative = torch.from_numpy(np.cumsum(p.counts**0.75))
    log_counts = torch.from_numpy(np.log(s.n_negatives * p.counts**0.75 / cumulative[-1].item()).astype("f"))

    def adagrad(weights, state, rows, gradient):  # the state is a number a row
        sums = state.index_select(0, rows).add_(torch.linalg.vector_norm(gradient, dim=1).square_().div_(s.hidden_size))
        state.index_copy_(0, rows, sums)
        rate = sums.sqrt_().add_(EPSILON).reciprocal_().mul_(-problems.LEARNING_RATE)
        weights.index_add_(0, rows, gradient.mul_(rate[:, None]))

    def step(rows, drawn=None):
        if drawn is None:
            uniform = torch.rand(s.n_negatives, dtype=torch.float64).mul_(cumulative[-1])
            negatives = torch.searchsorted(cumulative, uniform)
            log_expected = log_counts[negatives]
        else:
            negatives, log_expected = torch.from_numpy(drawn[0]), torch.from_numpy(drawn[1].astype("f"))
        n_rows, classes = len(rows), target[rows]
        features, x = indices[rows], data[rows]
        h = torch.nn.functional.embedding_bag(features, E, mode="sum", per_sample_weights=x)
        V_negative, V_target = V.index_select(0, negatives), V.index_select(0, classes)
        logits = torch.empty(n_rows, 1 + s.n_negatives)
        logits[:, 0] = (h * V_target).sum(1).add_(bias[classes])
        torch.addmm(bias[negatives] - log_expected, h, V_negative.T, out=logits[:, 1:])
        logits[:, 1:].masked_fill_(classes[:, None] == negatives, -torch.inf)
        log_proba = torch.log_softmax(logits, 1)
        loss = -log_proba[:, 0].mean()
        dlogits = log_proba.exp_()
        dlogits[:, 0] -= 1
        dlogits /= n_rows
        d_target, d_negative = dlogits[:, :1], dlogits[:, 1:]
        dh = torch.addmm(d_target * V_target, d_negative, V_negative)

        touched, places = torch.unique(torch.cat([negatives, classes]), return_inverse=True)
        dV = torch.zeros(len(touched), s.hidden_size)
        dV.index_add_(0, places, torch.cat([d_negative.T @ h, d_target * h]))
        dbias = torch.zeros(len(touched)).index_add_(0, places, torch.cat([d_negative.sum(0), d_target[:, 0]]))
        adagrad(V, V_state, touched, dV)
        sums = bias_state[touched].addcmul_(dbias, dbias)
        bias_state[touched] = sums
        bias.index_add_(0, touched, dbias.div_(sums.sqrt_().add_(EPSILON)), alpha=-problems.LEARNING_RATE)

        touched, places = torch.unique(features, return_inverse=True)
        dE = torch.zeros(len(touched), s.hidden_size)
        dE.index_add_(0, places.view(-1), (x[:, :, None] * dh[:, None]).view(-1, s.hidden_size))
        adagrad(E, E_state, touched, dE)
        return loss.item()

    def call(drawn=None):
        if drawn is not None:
            return step(torch.arange(s.batch), drawn)
        order = torch.randperm(len(target))
        for start in range(0, STEPS * s.batch, s.batch):
            step(order[start : start + s.batch])

    return call


def gemms(p):
    """Time the three products of (batch, d) by (d, drawn and true classes), as many times as a call has steps."""
    s = problems.SAMPLED
    rng = np.random.default_rng(0)
    h = rng.random((s.batch, s.hidden_size)).astype("f")
    call = limits.products(h, rng.random((s.n_negatives + s.batch, s.hidden_size)).astype("f"), gradients="XW")

    def calls():
        for _ in range(STEPS):
            call()

    return calls


def agree_call(p, call):
    """Make one step on the first rows, with the same draw for all implementations."""
    return call(Unigram(p.counts).draw(problems.SAMPLED.n_negatives, 0))


def probe(p, loss):
    s = problems.SAMPLED
    features, classes = np.unique(p.X[: s.batch].indices)[::7], np.unique(p.target[: s.batch])
    at = {"E": features, "V": classes, "bias": classes}
    return [loss] + [getattr(p, name)[at[name]] - p.kept[name][at[name]] for name in p.names]


def inputs(n_classes):
    p = problems.sampled(n_classes)
    p.keep()
    return p


def only_state(p):
    for a in p.state.values():
        a.fill(problems.INITIAL_STATE)


def cases():
    for n_classes in problems.SAMPLED_CLASSES:
        has_peers = n_classes == problems.SAMPLED.n_classes
        yield Case(
            family="sampled",
            problem="sampled step",
            shape=n_classes,
            inputs=partial(inputs if has_peers else problems.sampled, n_classes),
            implementations={OURS: ours} | ({"torch": torchs} if has_peers else {}),
            limits={"3 GEMMs": gemms},
            probe=probe if has_peers else lambda p, loss: [loss],
            agree_call=agree_call,
            reset=problems.Parameters.reset if has_peers else only_state,
            steps_per_call=STEPS,
        )
