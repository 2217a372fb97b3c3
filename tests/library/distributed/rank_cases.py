"""What the tests of models on ranks that are threads share: trainings, and what every rank got or raised."""

import numpy as np
import scipy.sparse as sp
from checkpoint_cases import X, Y, classifier
from thread_ranks import run

from fastsoftmax.terms import LowRank

TERMS = {
    "low rank": {"direct": None, "hidden_size": 6},
    "normalised": {"direct": None, "hidden_size": LowRank(6, normalize=True)},
    "sparse": {"direct": "sparse"},
    "sparse and low rank": {"direct": "sparse", "hidden_size": 6},
    "dense": {"direct": "dense"},
    "dense and low rank": {"direct": "dense", "hidden_size": 6},
    "sampled": {"direct": None, "hidden_size": 6, "loss": "sampled_softmax", "sampler": "learned_unigram"},
}


def own_rows(ranks, X=X, Y=Y):
    """The rows of a rank."""
    at = np.array_split(np.arange(len(Y)), ranks.size)[ranks.rank]
    return X[at], Y[at]


def fitted(ranks, X=X, **params):
    return classifier(**params, comm=ranks).fit(*own_rows(ranks, X))


def of_all(size, function):
    """What `function(ranks)` returned or raised on each rank."""

    def on(ranks):
        try:
            return function(ranks)
        except Exception as error:
            return error

    return run(size, on)


def arrays(model, begin=0, end=None):
    """Those of the classes from `begin` to `end`, of a sparse term as matrices, by name."""
    out, cut = {}, slice(begin, end)
    for name, a in (model.arrays() | ({} if model.prior is None else {"prior": model.prior})).items():
        if name.endswith("E"):
            out[name] = a
        elif name.endswith("W") and model.pairs is not None:
            out[name] = model.sparse_matrix(a)[cut].toarray()
            out["pairs"] = model.sparse_matrix(np.ones(len(model.W)))[cut].toarray()  # also those of weight zero
        else:
            out[name] = a[cut]
    return out


def whole(models):
    """The `arrays` of the models of all ranks put together."""
    parts, has_all_of_E = [arrays(model) for model in models], models[0].features is None
    return {
        name: a if name.endswith("E") and has_all_of_E else np.concatenate([part[name] for part in parts])
        for name, a in parts[0].items()
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def dense_rows():
    return sp.csr_array(X).toarray()


def saved(folder, size, **params):
    """Train on so many ranks and save; the classifier of each rank, which is alive in its thread no more."""

    def on(ranks):
        model = fitted(ranks, **params)
        model.save(folder)
        return model

    return run(size, on)
