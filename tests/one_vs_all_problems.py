"""Problems for OneVsAllClassifier, and how far its weights are from their optimum."""

import numpy as np
import reference
import scipy.sparse as sp

from fastsoftmax import OneVsAllClassifier

KINDS = {"dense": np.asarray, "csr": sp.csr_array}
LOSSES = ["squared_hinge", "logistic"]


def problem(n_rows=150, n_features=7, n_classes=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.6)
    y = (X @ rng.standard_normal((n_features, n_classes)) + rng.gumbel(size=(n_rows, n_classes))).argmax(1)
    y[:n_classes] = np.arange(n_classes)
    return X, y


def exact(**params):
    return OneVsAllClassifier(
        **{"tol": 1e-9, "max_iter": 1000, "feature_scaling": 0, "n_threads": 1} | params,
    )


def gradient_norms(model, X, is_positive, *, loss="squared_hinge", C=1.0, scaling=1.0, weight=None):
    """The norms of the gradients at the weights of a model with an intercept over those at zero weights."""
    weight = np.full(is_positive.shape, C) if weight is None else weight
    X = np.hstack([dense(X).astype(float), np.full((X.shape[0], 1), scaling)])
    W = np.hstack([dense(model.coef_).astype(float), model.intercept_[:, None] / scaling])
    found, at_zero = (reference.one_vs_all(loss, X, is_positive, weight, w)[1] for w in (W, np.zeros_like(W)))
    return np.linalg.norm(found, axis=1) / np.linalg.norm(at_zero, axis=1)


def dense(a):
    return a.toarray() if sp.issparse(a) else a
