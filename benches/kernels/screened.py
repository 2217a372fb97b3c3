"""The best classes of rows by a predictor that screens them in 8 bits, and by one that computes all logits."""

from functools import partial
from types import SimpleNamespace

import numpy as np

from fastsoftmax.model.model import Model
from fastsoftmax.model.predictor import Predictor
from fastsoftmax.runtime import threads

from . import problems
from .case import OURS, Case

ROUNDING = 0.1  # nats: a screen estimates the log-sum-exp


@problems.kept
def model_of(n_classes, n_hidden):
    """A dense head as in problems.dense: weights without any structure are a screen's worst case."""
    p = problems.dense((64, n_classes, n_hidden))
    return p, Model(W=p.W, bias=p.bias)


def inputs(shape):
    p, model = model_of(*shape[1:])
    return SimpleNamespace(X=p.X[: shape[0]], model=model)


def best(screens, p):
    predictor = Predictor(p.model, n_threads=threads.resolve(None), keeps=True, screens=screens)
    return lambda: predictor.topk(p.X, problems.TOP_K)


def cases():
    for n_rows in problems.SCREENED_ROWS:
        shape = (n_rows, *problems.SCREENED)
        yield Case(
            family="screen",
            problem="top 20, screened",
            shape=shape,
            inputs=partial(inputs, shape),
            implementations={OURS: partial(best, True), f"{OURS}, all logits": partial(best, False)},
            probe=lambda p, result: [result[0].astype(np.float64), result[1]],
            tolerance=ROUNDING / 5,  # of log-probabilities about -5 and below
        )
