"""One-vs-all squared hinges in which all rows that do not have a class are its negatives, for a stage of a larger training."""

import numpy as np

from fastsoftmax.newton import one_vs_all

MAX_ITER = 100


def solve(
    X, positives, C, *, tol=0.01, min_weight=0.02, feature_scaling=0.25, weight, positive_weight=None, intercept=1.0,
    n_threads, show=None,
):  # fmt: skip
    """The weights W (n_classes, n_features), CSC, and the intercepts (n_classes,).

    Parameters
    ----------
    X : (n_rows, n_features) CSR array
    positives : (n_rows, n_classes) CSR array of ones
    intercept : value of the feature that has the intercepts as weights
    others : as for hard_negatives.solve
    """
    dtype = X.dtype
    factors = np.ones(positives.shape[1]) if positive_weight is None else positive_weight
    scales = one_vs_all.feature_scales(X, weight, feature_scaling)
    rows = one_vs_all.rows_of(X, scales, intercept)
    weight, factors = (C * weight).astype(dtype), factors.astype(dtype)
    problems = one_vs_all.Problems(rows, "squared_hinge", weight, positives.tocsc(), factors, 1.0)
    done = show or (lambda n: None)
    W, bias, _, _ = one_vs_all.weights(problems, scales, intercept, min_weight, tol, MAX_ITER, n_threads, done)
    W.sort_indices()
    return W, bias
