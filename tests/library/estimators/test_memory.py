"""SoftmaxClassifier and the linear functions allocate neither arrays of rows x classes nor copies in float64."""

import tracemalloc

import numpy as np

import fastsoftmax as fs
from fastsoftmax import SoftmaxClassifier


def test_no_array_of_samples_times_classes(sparse_rows):
    """2,000 x 30,000 probabilities would be 229 MiB."""
    X, y = sparse_rows(2000, 40, 30_000)
    W = np.random.default_rng(0).standard_normal((30_000, 40)).astype(np.float32)
    few = {"hidden_size": 8, "direct": None, "max_iter": 1, "calibration_fraction": 0.0, "working_memory": 1 << 20}
    tracemalloc.start()
    try:
        fs.linear_cross_entropy(X.toarray(), W, y % 1000, return_grad=True, working_memory=1 << 20)
        fs.linear_topk(X, W, 5)
        for loss in ("softmax", "sampled_softmax"):
            model = SoftmaxClassifier(loss=loss, random_state=0, **few).fit(X, y)
            model.predict_topk(X, 5)
            model.score(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * 2**20


def test_float32_stays_float32(sparse_rows):
    """There are neither weights nor a copy of X in float64."""
    X, y = sparse_rows(4000, 2000, 10)
    X = X.toarray()
    model = SoftmaxClassifier(direct="dense", max_iter=1, random_state=0, working_memory=1 << 20, n_threads=1)
    tracemalloc.start()
    try:
        model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 2
    assert model.coef_.dtype == model.predict_proba(X).dtype == np.float32
