"""SoftmaxClassifier from flat options, as the tables of many tests have them: each goes into the object that it is of."""

import numpy as np
from sklearn.base import BaseEstimator

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.estimators import Checkpoint, EarlyStopping
from fastsoftmax.losses import LOSSES
from fastsoftmax.optimizers import OPTIMIZERS
from fastsoftmax.terms import LowRank, SparseTerm

SAMPLING = ("sampler", "n_negatives")
OF_SPARSE = {
    "direct_learning_rate": "learning_rate",
    "min_count": "min_count",
    "max_classes_per_feature": "max_classes_per_feature",
}
OF_LOW_RANK = {"n_hidden_features": "n_features", "freeze_embedding": "freeze", "divide_embedding": "divide"}
OF_LOW_RANK["normalize"] = "normalize"
OF_OPTIMIZER = {name: name for name in ("alpha", "class_alpha", "l1_alpha", "clip_norm")}
OF_STOPPING = {name: name for name in ("validation_fraction", "n_iter_no_change")}


def constructor_params(**flat):
    """The constructor's parameters. Options of sampling are left out where the loss is not one that samples, by name."""

    def take(names):
        return {new: flat.pop(old) for old, new in names.items() if old in flat}

    sparse, low_rank, optimizer, stopping = map(take, (OF_SPARSE, OF_LOW_RANK, OF_OPTIMIZER, OF_STOPPING))
    sampling, rate = take({name: name for name in SAMPLING}), take({"normaliser_rate": "normaliser_rate"})
    threshold = take({"gradient_threshold": "gradient_threshold"})
    if sampling.get("sampler", "in_batch") == "in_batch":  # it draws none
        sampling.pop("n_negatives", None)
    kind = flat.get("loss", "auto")
    if kind == "auto" and threshold:
        kind = "softmax"
    if kind == "softmax" and threshold:
        flat["loss"] = LOSSES[kind](**threshold)
    elif kind in LOSSES and kind != "softmax" and (sampling or rate):
        flat["loss"] = LOSSES[kind](**sampling, **(rate if kind == "sampled_softmax" else {}))
    if sparse and flat["direct"] == "sparse":
        flat["direct"] = SparseTerm(**sparse)
    if low_rank:
        flat["hidden_size"] = LowRank(flat.get("hidden_size", "auto"), **low_rank)
    if optimizer:
        flat["optimizer"] = OPTIMIZERS[flat.get("optimizer", "adagrad")](**optimizer)
    if stopping and flat.get("early_stopping"):
        flat["early_stopping"] = EarlyStopping(**stopping)
    if "checkpoint_every" in flat:
        every, path = flat.pop("checkpoint_every"), flat.get("checkpoint")
        flat["checkpoint"] = None if path is None else Checkpoint(path, every=every)
    return flat


def flat_classifier(loss="auto", **flat):
    """A SoftmaxClassifier that trains for 10 epochs where nothing else is said."""
    return SoftmaxClassifier(**constructor_params(**{"max_iter": 10, "loss": loss} | flat))


def of_mean(n_rows, weight=1.0):
    """The scale of the rows' losses in a training step along their mean."""
    return np.full(n_rows, 1.0 / n_rows) * weight


def plain_params(model):
    """get_params with the kinds of objects in their place, so that those of two classifiers can be compared."""
    return {name: type(a) if isinstance(a, BaseEstimator) else a for name, a in model.get_params().items()}
