"""Rows with several labels that their words tell of."""

import numpy as np
import scipy.sparse as sp

import fastsoftmax as fs

N_CLASSES, N_FEATURES = 60, 200


def make_data(n_rows=2000, seed=0):
    """Each label has words of its own, of which a row has some, beside words of no meaning; the rows have unit length."""
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(9).integers(0, N_FEATURES, (N_CLASSES, 6))
    popularity = 1 / np.arange(1, N_CLASSES + 1)
    X, Y = np.zeros((n_rows, N_FEATURES)), np.zeros((n_rows, N_CLASSES), int)
    for x, y in zip(X, Y, strict=True):
        labels = rng.choice(N_CLASSES, rng.integers(1, 4), replace=False, p=popularity / popularity.sum())
        y[labels] = 1
        for label in labels:
            x[rng.choice(words[label], 3)] = 1
        x[rng.integers(0, N_FEATURES, 4)] = 1
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return sp.csr_array(X), sp.csr_array(Y)


def small(**params):
    return fs.SoftmaxClassifier(**{"random_state": 0, "n_threads": 1, "batch_size": 64} | params)
