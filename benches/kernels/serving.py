"""Single rows and small batches by a predictor that is kept, and what a sparse W costs over the number of classes."""

from functools import partial

import numpy as np

from fastsoftmax import PreparedWeights, SoftmaxClassifier, linear_logsumexp
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs

from . import problems
from .case import OURS, Case

K = 5  # best classes


def classifier(model):
    """A fitted SoftmaxClassifier with this model."""
    fitted = SoftmaxClassifier()
    fitted._model, fitted._state = model, None
    fitted.classes_, fitted.n_features_in_ = np.arange(model.n_classes), model.n_features
    fitted.loss_curve_, fitted.validation_curve_ = [], []
    return fitted


def of_pairs(p):
    return classifier(Model(W=p.W.data, bias=p.bias, pairs=Pairs(p.W.indptr, p.W.indices)))


def kept(n_rows, p):
    predictor, X = of_pairs(p).predictor(), p.X[:n_rows]
    return lambda: predictor.predict_topk(X, K)


def anew(n_rows, p):
    model, X = of_pairs(p), p.X[:n_rows]
    return lambda: model.predict_topk(X, K)


def low_rank(storage, p):
    model = classifier(Model(E=p.E, V=p.V, bias=p.bias))
    predictor = (model if storage is None else model.compressed(storage)).predictor()
    return lambda: predictor.predict_topk(p.X, K)


def read(p):
    """The time of reading V once, by one thread."""
    return lambda: p.V.max()


def prepared(n_rows, p):
    weights, X = PreparedWeights(p.W, p.bias), p.X[:n_rows]
    return lambda: linear_logsumexp(X, weights)


def unprepared(n_rows, p):
    X = p.X[:n_rows]
    return lambda: linear_logsumexp(X, p.W, p.bias)


def cases():
    for n_classes in problems.SERVED_CLASSES:
        for n_rows in (1, 1000):
            yield Case(
                family="serving",
                problem=f"sparse term, top {K} of {n_rows:,} row{'s' * (n_rows > 1)}",
                shape=n_classes,
                inputs=partial(problems.served_pairs, n_classes),
                implementations={OURS: partial(kept, n_rows), f"{OURS}, without a predictor": partial(anew, n_rows)},
                probe=lambda p, result: [result[0], result[1]],
            )
    for storage in (None, "bfloat16", "int8"):
        yield Case(
            family="serving",
            problem=f"low rank, top {K} of a row, {storage or 'float32'}",
            shape=problems.SERVED_CLASSES[0],
            inputs=problems.served_low_rank,
            implementations={OURS: partial(low_rank, storage)},
            limits={"read": read},
            probe=lambda p, result: [result[1]],
        )
    for n_rows in (200, 2_000, 20_000):
        for n_classes in problems.SERVED_CLASSES:
            yield Case(
                family="serving",
                problem=f"log-sum-exp of {n_rows:,} rows",
                shape=n_classes,
                inputs=partial(problems.served_pairs, n_classes),
                implementations={
                    OURS: partial(prepared, n_rows),
                    f"{OURS}, W not prepared": partial(unprepared, n_rows),
                },
                probe=lambda p, result: [result[:1000]],
            )
