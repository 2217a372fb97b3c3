"""What each feature adds to the logit of a class on a row, the weights of a class, and how alike classes are.

All of it is computed in float64 from the weights as they are stored, a block at a time, so that weights which are compact or
in a file are never widened or read as a whole.
"""

from typing import NamedTuple

import numpy as np

BLOCK = 1 << 20  # weights that are widened at a time


class LargestOfRows(NamedTuple):
    """The largest contributions of each row, largest first: those of row i are at indptr[i] to indptr[i + 1].

    `rest` is the sum of the others of each row. `features`, `values` and `contributions` are (n_largest,), of which the last
    is float64; `indptr` is (n_rows + 1,) int64, and `rest` (n_rows,) float64.
    """

    indptr: np.ndarray
    features: np.ndarray
    values: np.ndarray
    contributions: np.ndarray
    rest: np.ndarray


def largest_of_rows(model, X, codes, k):
    """The `k` largest contributions to the logit of each row's class; the first feature comes first among equal ones.

    Contributions add up to the logit less the bias: x_j (W_kj + E_j . V_k) for feature j and class k. Those that are zero
    are left out.

    Parameters
    ----------
    model : Model of all classes
    X : CSR matrix without repeated columns in a row
    codes : (n_rows,) int64, the class of each row
    k : int
    """
    n_rows, row_of = X.shape[0], np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    contributions = X.data * _weights(model, X.indices, codes[row_of])
    used = np.flatnonzero(contributions)
    used = used[np.lexsort((-contributions[used], row_of[used]))]
    lengths = np.bincount(row_of[used], minlength=n_rows)
    rank = np.arange(len(used)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    chosen, others = used[rank < k], used[rank >= k]
    rest = np.bincount(row_of[others], contributions[others], minlength=n_rows)
    indptr = np.concatenate([[0], np.cumsum(np.minimum(lengths, k))])
    return LargestOfRows(indptr, X.indices[chosen], X.data[chosen], contributions[chosen], rest)


def _weights(model, features, codes):
    """The weights, (n,) float64, of features for classes, through all terms; `features` and `codes` : (n,) integers."""
    weights = np.zeros(len(features))
    if model.pairs is not None:
        weights += _pair_weights(model, features, codes)
    elif model.W is not None:
        weights += model.W[codes, features]
    if model.E is not None:
        in_E = np.flatnonzero(features < len(model.E))
        step = max(1, BLOCK // model.E.shape[1])
        for start in range(0, len(in_E), step):
            at = in_E[start : start + step]
            weights[at] += np.einsum("ij,ij->i", model.E[features[at]], model.V[codes[at]], dtype=np.float64)
    return weights


def _pair_weights(model, features, codes):
    """The weights of pairs of a feature and a class, zero where the model has no such pair.

    Each is found by bisection among the classes of its feature, all at a time. SciPy's indexing would look at all pairs of
    the model first.
    """
    indptr, class_ids = model.pairs
    first, end = indptr[features].astype(np.int64), indptr[features + 1].astype(np.int64)
    last = end.copy()
    while (open_ := np.flatnonzero(first < last)).size:
        middle = (first[open_] + last[open_]) // 2
        is_before = class_ids[middle] < codes[open_]
        first[open_[is_before]] = middle[is_before] + 1
        last[open_[~is_before]] = middle[~is_before]
    found = np.flatnonzero(first < end)
    found = found[class_ids[first[found]] == codes[found]]
    weights = np.zeros(len(features))
    weights[found] = _of_pairs(model, first[found], features[found])
    return weights


def _of_pairs(model, at, features):
    """The weights of the pairs at these places, which belong to these features."""
    return model.W[at] if isinstance(model.W, np.ndarray) else model.W.at(at, features)


def class_weights(model, code):
    """The weights of all features for the class `code`, through all terms: (n_features,) float64."""
    weights = np.zeros(model.n_features)
    if model.pairs is not None:
        at = np.flatnonzero(model.pairs.class_ids == code)
        features = np.searchsorted(model.pairs.indptr, at, side="right") - 1
        weights[features] = _of_pairs(model, at, features)
    elif model.W is not None:
        weights += model.W[code]
    if model.E is not None:
        vector = model.V[code].astype(np.float64)
        for rows in _blocks(model.E):
            weights[rows] += model.E[rows].astype(np.float64) @ vector
    return weights


def similarities(model, code):
    """The cosines of the vector of the class `code` with those of all classes: (n_classes,) float64, 0 for vectors of zeros.

    The vectors are the rows of V where there is a low-rank term, else those of W.
    """
    if model.V is None and model.pairs is not None:
        W, vector = model.sparse_matrix().astype(np.float64), class_weights(model, code)
        dots, squares = W @ vector, np.bincount(W.indices, W.data**2, minlength=model.n_classes)
    else:
        matrix = model.W if model.V is None else model.V
        vector = matrix[code].astype(np.float64)
        dots, squares = np.empty(model.n_classes), np.empty(model.n_classes)
        for rows in _blocks(matrix):
            block = matrix[rows].astype(np.float64)
            dots[rows], squares[rows] = block @ vector, np.einsum("ij,ij->i", block, block)
    norms = np.sqrt(squares) * np.sqrt(squares[code])
    return np.clip(np.divide(dots, norms, out=np.zeros(len(dots)), where=norms > 0), -1, 1)


def largest(values, k):
    """The places of the `k` largest values, or of all; the first comes first among equal ones."""
    candidates = np.arange(len(values))
    if k < len(values):
        candidates = np.flatnonzero(values >= np.partition(values, len(values) - k)[len(values) - k])
    return candidates[np.argsort(-values[candidates], kind="stable")][:k]


def _blocks(matrix):
    """Slices of the rows of a matrix."""
    step = max(1, BLOCK // max(1, matrix.shape[1]))
    return [slice(start, min(start + step, len(matrix))) for start in range(0, len(matrix), step)]
