"""Methods that need all classes raise, on all ranks, where each has a part of them."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import thread_ranks

from fastsoftmax import SoftmaxClassifier

X, Y = sp.eye(40, format="csr", dtype=np.float32), np.arange(40) % 8
METHODS = {
    "compressed": lambda c: c.compressed(),
    "predictor": lambda c: c.predictor(),
    "predict_marginals": lambda c: c.predict_marginals(X),
    "add_classes": lambda c: c.add_classes([99]),
    "explain": lambda c: c.explain(X),
    "top_features": lambda c: c.top_features(3),
    "similar_classes": lambda c: c.similar_classes(3),
}


def fitted(ranks, **params):
    own = slice(0, 20) if ranks.rank else slice(20, 40)
    return SoftmaxClassifier(comm=ranks, max_iter=1, hidden_size=4, random_state=0, **params).fit(X[own], Y[own])


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    def on(ranks):
        with pytest.raises(ValueError, match=f"^{name} needs the weights of all classes"):
            METHODS[name](fitted(ranks))

    thread_ranks.run(2, on)


def test_copies():
    def on(ranks):
        model = fitted(ranks)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(model._model)  # threads as ranks could not be pickled either
        assert copy.deepcopy(model._model).shard is model._model.shard
        assert copy.copy(model).predict_topk(X[:1], 3)[0].shape == (1, 3)

    thread_ranks.run(2, on)


@pytest.mark.parametrize(
    ("y", "loss", "message"),
    [
        ([*Y.reshape(-1, 1).tolist(), [1, 2]], "softmax", "rows with several labels"),
        (np.append(Y, 1), "multi_index", "follows the weights of all classes"),
    ],
)
def test_training(y, loss, message):
    from fastsoftmax.losses import SampledSoftmax

    loss = SampledSoftmax(sampler=loss, n_negatives=4) if loss == "multi_index" else loss

    def on(ranks):
        with pytest.raises(ValueError, match=message):
            SoftmaxClassifier(comm=ranks, loss=loss, hidden_size=4).fit(sp.vstack([X, X[:1]]).tocsr(), y)

    thread_ranks.run(2, on)
