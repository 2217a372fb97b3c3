"""Direct weights that are zero, or nearly, taken out of a model: what is left is a sparse direct term."""

import numpy as np
from scipy import sparse

from fastsoftmax.model.pairs import Pairs

BLOCK = 1 << 24  # weights looked at at a time


def prune(model, threshold):
    """Keep only direct weights of a larger absolute value than `threshold`; the model's direct term is sparse afterwards.

    Adagrad's sums of a sparse term stay with their weights. Those of a dense one go: the two rules differ.
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
