"""Trainings with a low-rank term whose E is divided among ranks, and what all ranks have of it, put together."""

import numpy as np
from problems import N_FEATURES, classifier, part, rows

from fastsoftmax.losses import Softmax
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.runtime.ranks import ranges
from fastsoftmax.terms import LowRank

X, Y = rows()
DENSE = X.toarray()
E0 = np.random.default_rng(7).standard_normal((N_FEATURES, 8)).astype(np.float32)
LOW_RANK = {"loss": "softmax", "direct": None}
CLIPPED = {"optimizer": Adagrad(clip_norm=0.05), "learning_rate": 1.0, "dtype": "float64"}
CLIPPED |= {"loss": Softmax(gradient_threshold=0)}  # a rounding to the other side would make more of a small difference
KINDS = {
    "full": LOW_RANK,
    "float64": LOW_RANK | {"dtype": "float64"},
    "sampled": {"loss": "sampled_softmax", "direct": None},
    "clipped": {"direct": None} | CLIPPED,
    "normalised": {"loss": "sampled_softmax", "direct": None, "normalize": True, "dtype": "float64"},
    "normalised, clipped": {"direct": None, "normalize": 5} | CLIPPED | {"learning_rate": 0.05},
    "frozen": LOW_RANK | {"freeze": True},
    "given E": LOW_RANK | {"fit": {"embedding_init": E0}},
    "SGD": LOW_RANK | {"optimizer": "sgd"},
    "early stopping, averaged": LOW_RANK | {"early_stopping": True, "average": 0.5},
    "dense + low rank": {"loss": "softmax", "direct": "dense"},
    "dense + low rank, clipped": {"direct": "dense"} | CLIPPED,
    "dense rows": LOW_RANK | {"X": DENSE},
    "dense rows, dense + low rank": {"loss": "softmax", "direct": "dense", "X": DENSE},
    "sparse + low rank": {"direct": "sparse"},
    "sparse + low rank, clipped": {"direct": "sparse"} | CLIPPED,
    "first features": {"direct": "sparse", "n_features": 37},
    "first features, clipped": {"direct": "sparse", "n_features": 37} | CLIPPED,
}


def fitted(ranks, name, *, divide=True, **more):
    kind = KINDS[name] | more
    rows, fit = kind.pop("X", X), kind.pop("fit", {})
    options = {key: kind.pop(key) for key in ("n_features", "freeze", "normalize") if key in kind}
    own = slice(None) if ranks is None else part(ranks)
    low_rank = LowRank(8, **options, divide=divide)
    return classifier(ranks, hidden_size=low_rank, **kind).fit(rows[own], Y[own], **fit)


def weights(models):
    """The arrays of all ranks put together."""
    parts = [m._model.arrays() | ({} if m._model.prior is None else {"prior": m._model.prior}) for m in models]
    whole = {}
    for name, a in parts[0].items():
        if name.endswith("W"):
            arrays = [p[name] for p in parts]
            if models[0]._model.pairs is not None:
                arrays = [m._model.sparse_matrix(a).toarray() for m, a in zip(models, arrays, strict=True)]
            whole[name] = np.concatenate(arrays)
        elif name.endswith("E") and models[0]._model.features is None:
            whole[name] = a
        else:
            whole[name] = np.concatenate([p[name] for p in parts])
    return whole


def assert_close(a, b, tolerance=2e-4):
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], rtol=tolerance, atol=tolerance, err_msg=name)


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert value.dtype == b[name].dtype
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def assert_divided(models):
    """Each rank has its range of E, of its state, and no more."""
    n = models[0]._model.n_hidden_features
    for rank, c in enumerate(models):
        begin, end = ranges(n, len(models))[rank : rank + 2]
        assert c._model.features == (begin, end, n)
        assert len(c.embedding_) == end - begin
        assert "E" not in c._model.state or len(c._model.state["E"]) == end - begin
