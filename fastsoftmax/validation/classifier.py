"""The parameters of SoftmaxClassifier, and its data beside these."""

import numpy as np

from fastsoftmax.validation.compact import check_not_compact
from fastsoftmax.validation.labels import check_ignore_label
from fastsoftmax.validation.masses import check_class_weight_param
from fastsoftmax.validation.resources import check_folder, check_writable
from fastsoftmax.validation.scalars import (
    check_bool,
    check_dtype,
    check_gradient_threshold,
    check_int,
    check_n_threads,
    check_option,
    check_path,
    check_real,
)
from fastsoftmax.validation.training import check_goes_on_by_same_rules, check_training


def check_params(c, losses, schedules):
    """The parameters of the SoftmaxClassifier `c`, but those of its optimiser; `losses` : the sampled ones."""
    check_option("loss", c.loss, ("auto", "softmax", *losses))
    check_training(c, schedules)
    check_option("direct", c.direct, ("auto", "dense", "sparse", None))
    if c.hidden_size not in ("auto", None):
        check_int("hidden_size", c.hidden_size, minimum=1)
    if c.direct is None and c.hidden_size is None:
        raise ValueError("direct and hidden_size are both None: the model would have no weights")
    for name in ("n_negatives", "batch_size", "max_iter", "n_iter_no_change", "min_count"):
        check_int(name, getattr(c, name), minimum=1)
    if c.max_classes_per_feature is not None:
        check_int("max_classes_per_feature", c.max_classes_per_feature, minimum=1)
    if c.direct_learning_rate != "auto":
        check_real("direct_learning_rate", c.direct_learning_rate, minimum=0)
    if c.calibration_fraction != "auto":
        check_real("calibration_fraction", c.calibration_fraction, minimum=0, maximum=0.5)
        check_calibration(c.calibration_fraction, c.direct)
    _check_joint(c)
    if c.normaliser_rate != "auto":
        check_real("normaliser_rate", c.normaliser_rate, above=0, maximum=1)
    if c.n_hidden_features is not None:
        check_int("n_hidden_features", c.n_hidden_features, minimum=1)
        if c.direct != "sparse" or c.hidden_size in (None, "auto") or c.joint:
            raise ValueError("n_hidden_features needs direct='sparse', a hidden_size that is an int, and joint=False")
    check_int("working_memory", c.working_memory, minimum=0)
    check_real("checkpoint_every", c.checkpoint_every, minimum=0)
    for name, check in (("checkpoint", check_writable), ("weights_dir", check_folder)):
        path = getattr(c, name)
        if path is not None:
            check(name, check_path(name, path))
    check_dtype("dtype", c.dtype)
    check_n_threads(c.n_threads)
    check_gradient_threshold(c.gradient_threshold)
    check_real("validation_fraction", c.validation_fraction, above=0, maximum=0.999)
    check_class_weight_param(c.class_weight)
    check_ignore_label(c.ignore_label)


def _check_joint(c):
    """Whether terms train on the loss of their sum: both must be there. ("auto" for hidden_size is None beside them.)"""
    check_bool("joint", c.joint)
    if not c.joint:
        return
    if c.direct != "sparse" or c.hidden_size in (None, "auto"):
        raise ValueError(
            "joint=True needs direct='sparse' and a hidden_size that is an int, "
            f"got direct={c.direct!r} and hidden_size={c.hidden_size!r}"
        )
    if c.direct_learning_rate == 0:
        raise ValueError("direct_learning_rate must be above 0 with joint=True, got 0")
    if c.loss not in ("auto", "softmax", "sampled_softmax"):
        raise ValueError(f"loss must be 'softmax', 'sampled_softmax' or 'auto' with joint=True, got {c.loss!r}")
    for name in ("class_alpha", "normaliser_rate"):
        if getattr(c, name) not in ("auto", None):
            raise ValueError(f"{name} must be 'auto' with joint=True, which does not use it, got {getattr(c, name)!r}")


def check_calibration(fraction, direct):
    """Raise where rows are to be held out for a term that is not calibrated; `direct` is what "auto" stands for."""
    if fraction and direct == "dense":
        raise ValueError(
            f"calibration_fraction must be 0 or 'auto' with direct='dense', got {fraction}: only sparse and low-rank terms "
            "are calibrated"
        )


def check_row_norms(X):
    """The mean squared length of the rows of `X`, which sets the steps of a sparse direct term; 1 where all are zeros."""
    values = X if isinstance(X, np.ndarray) else X.data
    mean = float(np.square(values, dtype=np.float64).sum()) / X.shape[0]
    if mean and not 1e-30 < mean < 1e30:
        raise ValueError(
            f"the rows of X have a mean squared length of {mean:g}: scale them (sklearn.preprocessing.normalize)"
        )
    return mean or 1.0


def check_same_terms(classifier, model):
    """Raise where the classifier cannot train on: compressed, or parameters set since want other low-rank columns."""
    check_not_compact(model, "partial_fit")
    n_columns = None if model.E is None else len(model.E)
    wanted = classifier.n_hidden_features or classifier.n_features_in_
    if n_columns not in (None, wanted):
        raise ValueError(
            f"n_hidden_features must stay as it was in the first training, {n_columns} columns, got {wanted}"
        )
    for name, given in (("hidden_size", classifier.hidden_size), ("direct", classifier.direct)):
        so_far = getattr(classifier, f"{name}_")
        if given not in ("auto", so_far) and not (name == "direct" and so_far == "sparse"):
            raise ValueError(f"{name} must stay as it was in the first training, {so_far!r}, got {given!r}")
    check_goes_on_by_same_rules(classifier)


def check_can_calibrate(model):
    """Raise where the model has a dense direct term, which no factor would mend."""
    check_not_compact(model, "calibrate")
    if model.W is not None and model.pattern is None:
        raise ValueError("calibrate needs a sparse direct or a low-rank term, this model has a dense direct one")


def check_calibration_rows(n_rows, least):
    """Raise where factors fitted on so few rows would do more harm than good."""
    if n_rows < least:
        raise ValueError(f"X must have at least {least} rows to calibrate on, got {n_rows}")
