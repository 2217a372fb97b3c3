"""What "auto" stands for, and how much memory a classifier will need: known before anything is allocated."""

import shutil
from typing import NamedTuple

import numpy as np

import fastsoftmax.optimizers as optimizers
import fastsoftmax.samplers as samplers
import fastsoftmax.validation as v
from fastsoftmax.losses import LOSSES
from fastsoftmax.model.model import Model
from fastsoftmax.runtime import memory
from fastsoftmax.training import calibration

AUTO_HIDDEN_SIZE = 128
AUTO_SAMPLED_CLASSES = 8192  # "auto" samples candidates from this many classes on
NORMALISER_RATE = 0.5  # 0.2 to 0.7 do about as well with many classes, none at all with a thousand
# "auto" of a low-rank term that is calibrated: its logits may be as weak as generalises best
CALIBRATED_ALPHA = 3e-5
CALIBRATED_CLASS_ALPHA = 2.0  # a class: as many rows as it has share it


class Start(NamedTuple):
    """Where training begins, as checked; None: where it begins by itself."""

    W: object | None = None  # (n_classes, n_features), CSC
    bias: np.ndarray | None = None
    E: np.ndarray | None = None


NO_START = Start()


class Plan(NamedTuple):
    """A SoftmaxClassifier's choices for one problem."""

    loss: str
    direct: str | None
    hidden_size: int | None
    alpha: float
    class_alpha: float | None
    n_calibration_rows: int
    model_bytes: int
    model_formula: str
    weight_bytes: int  # of the model, without the optimiser's state

    def __str__(self):
        choices = f"loss={self.loss!r}, direct={self.direct!r}, hidden_size={self.hidden_size}, alpha={self.alpha:g}"
        if self.class_alpha is not None:
            choices += f", class_alpha={self.class_alpha:g}"
        if self.n_calibration_rows:
            choices += f", {self.n_calibration_rows:,} rows held out to calibrate"
        return f"{choices}: {self.model_bytes / 2**20:,.1f} MiB ({self.model_formula})"


def plan(classifier, n_classes, X, start=NO_START, *, targets_per_row=1.0, calibrates=True, goes_on=False):
    """The Plan for checked rows, where training begins at `start`; MemoryError where the memory that it takes is not there.

    targets_per_row : classes of a row, on the average
    goes_on : whether the model is there already
    calibrates : False for the first rows of a stream: none are held out, and what is "auto" cannot depend on their number
    """
    params, dense_input = classifier.get_params(), isinstance(X, np.ndarray)
    n_entries = int((X.size if dense_input else X.nnz) * targets_per_row)
    if start.E is not None and params["hidden_size"] == "auto":
        params["hidden_size"] = start.E.shape[1]
    if goes_on:
        params |= {
            name: getattr(classifier, f"{name}_") for name in ("hidden_size", "direct") if params[name] == "auto"
        }
    if start.W is not None:
        n_entries = start.W.nnz
        if params["calibration_fraction"] == "auto":
            params["calibration_fraction"] = 0.0
    if not calibrates:
        params["calibration_fraction"] = 0.0
    chosen = choose(params, X.shape[0], n_classes, X.shape[1], n_entries=n_entries, dense_input=dense_input)
    if params["verbose"]:
        print(chosen)
    v.check_memory("training", *memory_needed(chosen, params, n_classes, goes_on=goes_on))
    if params["weights_dir"] is not None:
        v.check_disk("weights_dir", params["weights_dir"], *disk_needed(chosen, params, goes_on=goes_on))
    return chosen


def choose(params, n_samples, n_classes, n_features, *, n_entries, dense_input):
    """The Plan for a classifier's checked parameters (a dict) and the size of its problem; `n_entries` are X's."""
    loss, direct, hidden_size = params["loss"], params["direct"], params["hidden_size"]
    optimizer = optimizers.make(params["optimizer"], params["learning_rate"])
    itemsize = np.dtype(params["dtype"]).itemsize

    def forecast(hidden_size, direct, optimizer=optimizer):
        size = {"optimizer": optimizer, "itemsize": itemsize, "n_pairs": n_entries}  # at most so many pairs
        size["n_hidden_features"] = params["n_hidden_features"]
        return Model.forecast(n_classes, n_features, hidden_size, direct, **size)

    if direct == "auto" and hidden_size == "auto":
        direct_bytes, low_rank_bytes = forecast(None, "dense")[0], forecast(AUTO_HIDDEN_SIZE, None)[0]
        folder = params["weights_dir"]
        free = memory.available() if folder is None else shutil.disk_usage(folder).free
        fits = free is None or direct_bytes <= free // 2
        direct = "dense" if direct_bytes <= low_rank_bytes or (dense_input and fits) else None
    elif direct == "auto":
        direct = "dense" if hidden_size is None else None
    if hidden_size == "auto":
        hidden_size = AUTO_HIDDEN_SIZE if direct is None else None
    if loss == "auto":
        sampled = n_classes >= AUTO_SAMPLED_CLASSES and n_classes > 2 * params["n_negatives"]
        loss = "sampled_softmax" if sampled else "softmax"
    fraction = params["calibration_fraction"]
    if fraction == "auto":
        fraction = calibration.FRACTION if direct == "sparse" or direct is None else 0.0
    v.check_calibration(fraction, direct)
    v.check_l1(params["l1_alpha"], direct)
    v.check_freeze(params["freeze_embedding"], hidden_size)
    n_rows = calibration.n_rows(n_samples, n_classes, hidden_size, fraction)
    alpha, class_alpha = params["alpha"], params["class_alpha"]
    calibrated = n_rows and hidden_size
    if class_alpha == "auto":
        class_alpha = None
        if calibrated and alpha == "auto" and not params["joint"]:
            class_alpha = CALIBRATED_CLASS_ALPHA * n_classes / n_samples
    if alpha == "auto":
        alpha = CALIBRATED_ALPHA if calibrated else 0.0
    weight_bytes = forecast(hidden_size, direct, optimizers.SGD())[0]
    return Plan(loss, direct, hidden_size, alpha, class_alpha, n_rows, *forecast(hidden_size, direct), weight_bytes)


def normaliser_rate(rate, loss, n_classes):
    """That of a RunningNormaliser; 1: there is none."""
    if loss != "sampled_softmax":
        return 1.0
    if rate != "auto":
        return rate
    return NORMALISER_RATE if n_classes >= AUTO_SAMPLED_CLASSES else 1.0


def sparse_optimizer(params, n_classes, row_norm, damping):
    """The rule for a sparse direct term, on the sum of a batch's losses.

    A step for one row alone, before anything is learned, moves the logit of its class by 1.5 log(n_classes): from knowing
    nothing to being nearly sure (half and double of that do about as well). AdaGrad whose sum starts at `damping` and not
    at zero, since otherwise the many tiny gradients of wrong classes step as far as the few large ones of right classes.
    """
    learning_rate = params["direct_learning_rate"]
    if learning_rate == "auto":
        learning_rate = 1.5 * np.log(n_classes) / max(row_norm, np.finfo(np.float32).tiny)
    if params["optimizer"] == "sgd":
        return optimizers.SGD(learning_rate / np.sqrt(damping), clip_norm=params["clip_norm"])
    return optimizers.Adagrad(learning_rate, clip_norm=params["clip_norm"])


def _models(plan, params, goes_on):
    """Bytes of the model and its copies, by what they are."""
    parts = {} if goes_on else {plan.model_formula: plan.model_bytes}
    if params["early_stopping"]:
        parts["early stopping's copy of the model"] = plan.model_bytes
    if params["average"]:
        parts["the mean of the weights"] = plan.weight_bytes
    return parts


def disk_needed(plan, params, *, goes_on=False):
    """Bytes that files in `weights_dir` will take, and the formula that gives them, with its figures."""
    parts = _models(plan, params, goes_on)
    if plan.n_calibration_rows:
        parts["calibration's copy of the model"] = plan.model_bytes
    return _add_up(parts)


def memory_needed(plan, params, n_classes, *, goes_on=False):
    """Bytes that training will allocate beside X and y, and the formula that gives them, with its figures."""
    parts = {} if params["weights_dir"] is not None else _models(plan, params, goes_on)
    parts["working_memory"] = params["working_memory"]
    if plan.loss in LOSSES and isinstance(params["sampler"], str):
        n_bytes = samplers.kind_of(params["sampler"]).bytes_per_class
        if n_bytes:
            parts[f"sampler {n_classes:,} classes x {n_bytes} bytes"] = n_classes * n_bytes
    return _add_up(parts)


def _add_up(parts):
    return sum(parts.values()), "; ".join(f"{what}: {n / 2**20:,.1f} MiB" for what, n in parts.items())
