"""What "auto" stands for, and how much memory a classifier will need: known before anything is allocated."""

from typing import NamedTuple

import numpy as np

from fastsoftmax import _memory, optimizers
from fastsoftmax._model import Model

AUTO_HIDDEN_SIZE = 128
AUTO_SAMPLED_CLASSES = 8192  # "auto" samples candidates from this many classes on
UNIGRAM_BYTES = 24  # of the alias table, a class


class Plan(NamedTuple):
    """A SoftmaxClassifier's choices for one problem."""

    loss: str
    direct: str | None
    hidden_size: int | None
    model_bytes: int
    model_formula: str

    def __str__(self):
        choices = f"loss={self.loss!r}, direct={self.direct!r}, hidden_size={self.hidden_size}"
        return f"{choices}: {self.model_bytes / 2**20:,.1f} MiB ({self.model_formula})"


def choose(params, n_classes, n_features, *, dense_input):
    """The Plan for a classifier's checked parameters (a dict) and the size of its problem."""
    loss, direct, hidden_size = params["loss"], params["direct"], params["hidden_size"]
    optimizer = optimizers.make(params["optimizer"], params["learning_rate"], params["alpha"])
    itemsize = np.dtype(params["dtype"]).itemsize

    def forecast(hidden_size, direct):
        size = {"optimizer": optimizer, "itemsize": itemsize}
        return Model.forecast(n_classes, n_features, hidden_size, direct == "dense", **size)

    if direct == "auto" and hidden_size == "auto":
        direct_bytes, low_rank_bytes = forecast(None, "dense")[0], forecast(AUTO_HIDDEN_SIZE, None)[0]
        free = _memory.available()
        fits = free is None or direct_bytes <= free // 2
        direct = "dense" if direct_bytes <= low_rank_bytes or (dense_input and fits) else None
    elif direct == "auto":
        direct = "dense" if hidden_size is None else None
    if hidden_size == "auto":
        hidden_size = AUTO_HIDDEN_SIZE if direct is None else None
    if loss == "auto":
        sampled = n_classes >= AUTO_SAMPLED_CLASSES and n_classes > 2 * params["n_negatives"]
        loss = "sampled_softmax" if sampled else "softmax"
    return Plan(loss, direct, hidden_size, *forecast(hidden_size, direct))


def memory_needed(plan, params, n_classes):
    """Bytes that training will allocate beside X and y, and the formula that gives them, with its figures."""
    parts = {plan.model_formula: plan.model_bytes, "working_memory": params["working_memory"]}
    if params["early_stopping"]:
        parts["early stopping's copy of the model"] = plan.model_bytes
    if plan.loss == "sampled_softmax" and params["sampler"] == "unigram":
        parts[f"sampler {n_classes:,} classes x {UNIGRAM_BYTES} bytes"] = n_classes * UNIGRAM_BYTES
    return sum(parts.values()), "; ".join(f"{what}: {n / 2**20:,.1f} MiB" for what, n in parts.items())
