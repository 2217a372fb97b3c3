"""The same in torch, as its users write it. Functions import torch, which need not be installed."""

from importlib.util import find_spec

import numpy as np

from fastsoftmax.runtime import threads

from ..quality.worker.systems.torch_ import sampled_loss
from . import problem

FULL, SAMPLED, TOP = "torch, full softmax", "torch, sampled softmax", "torch, top 20"
INSTALLED = find_spec("torch") is not None


def expected_bytes(series, n_classes):
    """Count class weights, their gradients and sums of squares; and a batch's logits, log-probabilities and gradients."""
    weights, logits = 4 * n_classes * (problem.HIDDEN_SIZE + 1), 4 * problem.BATCH_SIZE * n_classes
    return {FULL: 3 * weights + 3 * logits, SAMPLED: 2 * weights, TOP: weights + 2 * logits}[series]


def call(series, model, classes):
    import torch

    torch.set_num_threads(threads.resolve(None))
    torch.sparse.check_sparse_tensor_invariants.disable()  # the default, set to silence a warning
    return {FULL: _full, SAMPLED: _sampled, TOP: _top}[series](torch, model, classes)


def _rows(torch):
    """Return features and values as (n_rows, entries): all rows have the same number of entries."""
    X = problem.rows()
    shape = X.shape[0], problem.N_ENTRIES
    return torch.from_numpy(X.indices.reshape(shape).astype(np.int64)), torch.from_numpy(X.data.reshape(shape))


def _embedding_bag(torch, model, sparse):
    E = torch.from_numpy(model.E.copy())
    return torch.nn.EmbeddingBag.from_pretrained(E, freeze=False, mode="sum", sparse=sparse)


def _full(torch, model, classes):
    embedding = _embedding_bag(torch, model, sparse=False)
    head = torch.nn.Linear(*model.V.shape[::-1], device="meta").to_empty(device="cpu")
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(model.V))
        head.bias.zero_()
    parameters = [*embedding.parameters(), *head.parameters()]
    optimizer = torch.optim.Adagrad(parameters, lr=problem.LEARNING_RATE, fused=True)
    (indices, data), target, batches = _rows(torch), torch.from_numpy(classes.target), problem.batches()

    def step():
        rows = torch.from_numpy(next(batches))
        logits = head(embedding(indices[rows], per_sample_weights=data[rows]))
        loss = torch.nn.functional.cross_entropy(logits, target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _sampled(torch, model, classes):
    embedding = _embedding_bag(torch, model, sparse=True)
    V, bias = (
        torch.nn.Embedding.from_pretrained(torch.from_numpy(a.copy()), freeze=False, sparse=True)
        for a in (model.V, model.bias[:, None])
    )
    parameters = [*embedding.parameters(), *V.parameters(), *bias.parameters()]
    optimizer = torch.optim.Adagrad(parameters, lr=problem.LEARNING_RATE)
    (indices, data), target, batches = _rows(torch), torch.from_numpy(classes.target), problem.batches()
    weights = classes.counts**0.75
    cumulative = torch.from_numpy(np.cumsum(weights))
    log_expected = torch.from_numpy(np.log(problem.N_NEGATIVES * weights / weights.sum()).astype("f"))

    def step():
        rows = torch.from_numpy(next(batches))
        uniform = torch.rand(problem.N_NEGATIVES, dtype=torch.float64)
        drawn = torch.searchsorted(cumulative, uniform * cumulative[-1])
        hidden = embedding(indices[rows], per_sample_weights=data[rows])
        loss = sampled_loss(hidden, target[rows], drawn, log_expected[drawn], V, bias)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _top(torch, model, classes):
    embedding = _embedding_bag(torch, model, sparse=False)
    V, bias = torch.from_numpy(model.V), torch.from_numpy(model.bias)
    indices, data = (a[: problem.BATCH_SIZE] for a in _rows(torch))

    @torch.no_grad()
    def predict():
        logits = torch.addmm(bias, embedding(indices, per_sample_weights=data), V.T)
        values, class_ids = torch.topk(logits, problem.TOP_K)
        return class_ids, values - torch.logsumexp(logits, 1, keepdim=True)

    return predict
