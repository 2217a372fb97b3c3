"""Rows whose classes can be learned, the parts of them that ranks have, and classifiers that train alone or together."""

import numpy as np
import scipy.sparse as sp

from fastsoftmax import SoftmaxClassifier

N, N_FEATURES, K = 400, 60, 23


def rows(n=N, seed=0, n_classes=K):
    """CSR rows of float32 and their labels: each class has features of its own, and there is noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    own = np.random.default_rng(1).random((n_classes, N_FEATURES)) < 0.2
    X = own[y] & (rng.random((n, N_FEATURES)) < 0.5)
    return sp.csr_array((X | (rng.random(X.shape) < 0.02)) * rng.random(X.shape), dtype=np.float32), y


def part(ranks, n=N):
    """The rows of a rank, of `n` in all: none of the same number as another's."""
    ends = np.round((np.arange(ranks.size + 1) / ranks.size) ** 1.3 * n).astype(int)
    return slice(ends[ranks.rank], ends[ranks.rank + 1])


def classifier(ranks=None, **params):
    common = {"random_state": 0, "n_threads": 1, "batch_size": 64, "max_iter": 3}
    return SoftmaxClassifier(**common | params, comm=ranks)


TRAININGS = {
    "full": {"loss": "softmax", "hidden_size": 8},
    "full, exact gradients, clipped": {"loss": "softmax", "hidden_size": 8, "optimizer": "clipped"},
    "sampled in batch": {"loss": "sampled_softmax", "hidden_size": 8},
    "sampled uniform": {"loss": "uniform", "hidden_size": 8},
    "nce": {"loss": "nce", "hidden_size": 8},
    "one-vs-all": {"loss": "one_vs_all", "hidden_size": 8},
    "one-vs-all, calibrated": {"loss": "one_vs_all", "direct": "sparse", "hidden_size": 8, "calibration_fraction": 0.2},
    "dense": {"direct": "dense", "hidden_size": None, "loss": "softmax"},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "sparse, common features left out": {"direct": "few classes", "hidden_size": None},
    "sparse + low rank": {"direct": "sparse", "hidden_size": 8},
    "averaged": {"loss": "softmax", "hidden_size": 8, "average": True},
    "early stopping": {"loss": "softmax", "hidden_size": 8, "early_stopping": True},
    "averaged, early stopping": {"loss": "softmax", "hidden_size": 8, "average": True, "early_stopping": True},
    "float64": {"loss": "softmax", "hidden_size": 8, "dtype": "float64"},
}
