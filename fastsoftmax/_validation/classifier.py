"""The parameters of SoftmaxClassifier, and its data beside these."""

import numpy as np
from scipy import sparse

from fastsoftmax._validation.labels import check_labels
from fastsoftmax._validation.linear import check_bias, check_sparse_W, check_X
from fastsoftmax._validation.scalars import (
    check_bool,
    check_dtype,
    check_gradient_threshold,
    check_int,
    check_n_threads,
    check_option,
    check_real,
)
from fastsoftmax._validation.targets import check_sample_weight
from fastsoftmax._validation.training import check_goes_on_by_same_rules, check_training


def check_params(c, losses):
    """The parameters of the SoftmaxClassifier `c`, but those of its optimiser; `losses` : the sampled ones."""
    check_option("loss", c.loss, ("auto", "softmax", *losses))
    check_training(c)
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
    check_dtype("dtype", c.dtype)
    check_n_threads(c.n_threads)
    check_gradient_threshold(c.gradient_threshold)
    check_real("validation_fraction", c.validation_fraction, above=0, maximum=0.999)


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


def check_rows(c, X, y, sample_weight, n_features=None):
    """Rows for the SoftmaxClassifier `c`, whose parameters are checked, as its kernels take them."""
    canonical = c.direct == "sparse" or c.clip_norm is not None  # norms of rows
    X = check_X(X, n_features=n_features, dtype=np.dtype(c.dtype), canonical=canonical)
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"X must have at least one row and one feature, got shape {X.shape}")
    if c.n_hidden_features is not None:
        check_int("n_hidden_features", c.n_hidden_features, maximum=X.shape[1])
    return X, check_labels(y, X_rows=X.shape[0]), check_sample_weight(sample_weight, X.shape[0])


def check_row_norms(X):
    """The mean squared length of the rows of `X`, which sets the steps of a sparse direct term; 1 where all are zeros."""
    values = X if isinstance(X, np.ndarray) else X.data
    mean = float(np.square(values, dtype=np.float64).sum()) / X.shape[0]
    if mean and not 1e-30 < mean < 1e30:
        raise ValueError(
            f"the rows of X have a mean squared length of {mean:g}: scale them (sklearn.preprocessing.normalize)"
        )
    return mean or 1.0


def check_start(coef_init, intercept_init, direct, shape, dtype):
    """Sparse weights (CSC) and bias to begin training with, each None where it is not given."""
    if coef_init is None and intercept_init is None:
        return None, None
    if coef_init is None or direct != "sparse":
        given = "intercept_init without coef_init" if coef_init is None else f"direct={direct!r}"
        raise ValueError(f"coef_init needs direct='sparse', and intercept_init needs coef_init, got {given}")
    if not sparse.issparse(coef_init):
        raise TypeError(f"coef_init must be a scipy.sparse matrix, got {type(coef_init).__name__}")
    with np.errstate(over="ignore"):
        W = check_sparse_W(coef_init.astype(dtype), name="coef_init")
    if W.shape != shape:
        raise ValueError(f"coef_init must have shape {shape}, (classes in y, features), got {W.shape}")
    bias = check_bias(intercept_init, shape[0], dtype, name="intercept_init")
    if bias is not None and not np.isfinite(bias).all():
        raise ValueError(f"intercept_init must be finite, got {bias[~np.isfinite(bias)][0]}")
    return W, bias


def check_same_terms(classifier, model):
    """Raise where parameters set since the first training want a low-rank term of other columns."""
    n_columns = None if model.E is None else len(model.E)
    wanted = classifier.n_hidden_features or classifier.n_features_in_
    if n_columns not in (None, wanted):
        raise ValueError(
            f"n_hidden_features must stay as it was in the first training, {n_columns} columns, got {wanted}"
        )
    check_goes_on_by_same_rules(classifier)


def check_can_calibrate(model):
    """Raise where the model has a dense direct term, which no factor would mend."""
    if model.W is not None and model.pattern is None:
        raise ValueError("calibrate needs a sparse direct or a low-rank term, this model has a dense direct one")


def check_calibration_rows(n_rows, least):
    """Raise where factors fitted on so few rows would do more harm than good."""
    if n_rows < least:
        raise ValueError(f"X must have at least {least} rows to calibrate on, got {n_rows}")
