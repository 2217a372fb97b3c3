"""Pruning: it removes direct weights that are zero or nearly so, and what is left is a sparse term."""

import numpy as np
from scipy import sparse

from fastsoftmax.model.pairs import Pairs

BLOCK = 1 << 24  # weights that are read at a time


def prune(model, threshold):
    """Keep only the direct weights whose absolute value is above `threshold`; the direct term is sparse afterwards.

    Adagrad's sums of a sparse term stay with their weights. Those of a dense term are dropped, since its rule differs from
    the one of a sparse term.
    """
    if model.pairs is not None:
        keep = np.abs(model.W) > threshold
        indptr = np.concatenate([[0], np.cumsum(keep)])[model.pairs.indptr].astype(model.pairs.indptr.dtype)
        state = {name: a[keep] if name == "W" else a for name, a in model.state.items()}
        pairs, W = Pairs(indptr, model.pairs.class_ids[keep]), model.W[keep]
        model.pairs, model.W, model.state = pairs, W, state
        return
    n_classes, n_features = model.W.shape
    counts, class_ids, weights = [], [], []
    step = max(1, BLOCK // n_classes)
    for start in range(0, n_features, step):
        by_feature = model.W[:, start : start + step].T
        features, classes = np.nonzero(np.abs(by_feature) > threshold)
        counts.append(np.bincount(features, minlength=len(by_feature)))
        class_ids.append(classes.astype(np.int32))
        weights.append(by_feature[features, classes])
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    indptr = indptr.astype(sparse.get_index_dtype(maxval=indptr[-1]))
    model.pairs, model.W = Pairs(indptr, np.concatenate(class_ids)), np.concatenate(weights)
    model.state.pop("W", None)
