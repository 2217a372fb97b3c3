"""What SoftmaxClassifier trains on, where it begins, what it resumes, and the rows that it is judged by."""

import numpy as np
from scipy import sparse

from fastsoftmax.runtime.warning import warn
from fastsoftmax.validation.arrays import as_dtype, as_real_array
from fastsoftmax.validation.classes import are_same_classes
from fastsoftmax.validation.compact import check_not_compact
from fastsoftmax.validation.estimators import check_input, check_same_names, feature_names
from fastsoftmax.validation.linear import check_bias, check_sparse_W
from fastsoftmax.validation.rows import check_some_rows, check_targets
from fastsoftmax.validation.weights import check_sample_weight


def check_row_norms(X):
    """The mean squared length of the rows of `X`, which sets the steps of a sparse term; 1 where all are zeros."""
    values = X if isinstance(X, np.ndarray) else X.data
    mean = float(np.square(values, dtype=np.float64).sum()) / X.shape[0]
    if mean and not 1e-30 < mean < 1e30:
        raise ValueError(
            f"the rows of X have a mean squared length of {mean:g}: scale them (sklearn.preprocessing.normalize)"
        )
    return mean or 1.0


def warn_no_pairs(limits):
    """UserWarning that the rows at hand give a sparse term no pair within its `limits`, a dict by name."""
    given = ", ".join(f"{name}={value}" for name, value in limits.items())
    warn(
        f"SparseTerm({given}) leaves no pair of a feature and a class: the rows teach the sparse term nothing",
        UserWarning,
    )


def check_same_terms(options, choices, model, n_features):
    """Raise where the model so far cannot be trained on with these Options."""
    check_not_compact(model, "partial_fit")
    is_given = options.low_rank not in (None, "auto")
    if options.hidden_size not in ("auto", choices.hidden_size) or (is_given and choices.hidden_size is None):
        given = options.low_rank if options.hidden_size == "auto" else options.hidden_size
        raise ValueError(
            f"hidden_size must stay as it was in the first training, {choices.hidden_size!r}, got {given!r}"
        )
    if choices.direct != "sparse" and options.direct_name not in ("auto", choices.direct):
        raise ValueError(
            f"direct must stay as it was in the first training, {choices.direct!r}, got {options.direct_name!r}"
        )
    loss = getattr(options.loss, "name", options.loss)
    if loss not in ("auto", choices.loss):
        raise ValueError(f"loss must stay as it was in the first training, {choices.loss!r}, got {loss!r}")
    check_trainable(options, choices, model, n_features)


def check_can_rank(options, objective, n_rows, *, begins, dense_input, n_ranks):
    """Raise where a model is to be trained for `objective`, a name or None, by a stage that cannot be.

    begins : whether this is a `fit` from scratch
    n_ranks : the number of processes that have a part of the classes
    """
    if objective not in ("precision", "tail"):
        return
    name = "objective must be 'auto' or 'recall'"
    if objective == "tail" and n_rows < 3:
        raise ValueError(f"{name} with {n_rows} rows, from which no propensity can be estimated, got {objective!r}")
    if not begins:
        raise ValueError(
            f"{name} in partial_fit, with warm_start and with coef_init, got {objective!r}: hard negatives come last"
        )
    if n_ranks > 1:
        raise ValueError(f"{name} with comm, got {objective!r}: hard negatives are ranked by one process")
    if dense_input:
        raise ValueError(f"{name} with dense rows, got {objective!r}: scipy.sparse.csr_array(X) makes them sparse")
    if options.direct_name not in ("auto", "sparse"):
        raise ValueError(f"{name} with direct={options.direct!r}, got {objective!r}: the hinge is a sparse term")
    if options.weights_dir is not None:
        raise ValueError(f"{name} with weights_dir, got {objective!r}: hard negatives need memory")


def check_has_marginals(loss, loss_name):
    """Raise where the logits of a model were not calibrated to be log odds, and were not trained to be."""
    if loss_name != "one_vs_all" or getattr(loss, "loss", "logistic") != "logistic":
        raise ValueError(
            "marginal probabilities need a model that was calibrated on rows with several labels: call calibrate(X, y) with "
            "at least 30 of them, which fit did not train on, or fit with a larger calibration_fraction"
        )


def check_trainable(options, choices, model, n_features):
    """Raise where the terms of the model so far would be trained as they were not meant to be."""
    if choices.ranks:
        raise ValueError(
            f"a model that was trained for {choices.objective} cannot be trained on: its weights are no longer those of the "
            "softmax. Train it with objective='recall' from the beginning"
        )
    n_columns = None if model.E is None else model.n_hidden_features
    wanted = options.n_hidden_features or n_features
    if n_columns not in (None, wanted):
        raise ValueError(
            f"LowRank.n_features must stay as it was in the first training, {n_columns} columns, got {wanted}"
        )
    if model.E is not None and (options.hidden_scale is None) != (model.scale is None):
        was, now = ("off" if scale is None else "on" for scale in (model.scale, options.hidden_scale))
        raise ValueError(f"LowRank.normalize must stay as it was in the first training, {was}, got {now}")
    if choices.direct == "sparse" and options.sparse is None:
        raise ValueError(
            f"direct must be 'sparse' to train a pruned model, got {options.direct!r}: its direct term is sparse now"
        )
    if model.pairs is not None and model.E is not None and model.prior is None:
        raise ValueError(
            "the two terms of this model were trained on the loss of their sum, and its direct term is sparse now: it can "
            "predict, but not be trained further"
        )


def check_can_calibrate(model, *, several=False):
    """Raise where the model has a dense direct term, which no factor would mend; of `several` labels there are marginals."""
    if model.has_dense_direct and not several:
        raise ValueError(
            "calibrate needs a sparse direct or a low-rank term, this model has a dense direct one: choose others by direct "
            "and hidden_size, or prune it"
        )


def check_can_prune(model):
    """Raise where the model has no direct term."""
    check_not_compact(model, "prune")
    if model.W is None:
        raise ValueError("prune needs a direct term, and this model has none (direct=None)")


def check_calibration_rows(n_rows, least):
    """Raise where factors fitted on so few rows would do more harm than good."""
    if n_rows < least:
        raise ValueError(f"X must have at least {least} rows to calibrate on, got {n_rows} that count")


def check_can_hold_out(n_rows):
    """Raise where early stopping would leave no row to train on."""
    if n_rows < 2:
        raise ValueError(f"early_stopping needs at least two rows that count, got {n_rows}; or give X_val and y_val")


def check_embedding(embedding_init, options, n_features):
    """`embedding_init` in the dtype of the Options, or None."""
    if embedding_init is None:
        return None
    E = as_real_array("embedding_init", embedding_init)
    n_rows = options.n_hidden_features or n_features
    if E.ndim != 2 or E.shape[0] != n_rows or E.shape[1] == 0:
        raise ValueError(f"embedding_init must have shape ({n_rows}, hidden_size), a row a feature, got {E.shape}")
    size = options.hidden_size
    if size not in ("auto", E.shape[1]):
        raise ValueError(f"hidden_size must be 'auto' or the width of embedding_init, {E.shape[1]}, got {size!r}")
    if not np.isfinite(E).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(E))[0])
        raise ValueError(f"embedding_init must be finite, got {E[at]} at position {at}")
    return as_dtype("embedding_init", E, options.dtype)


def check_validation(c, options, X, y, sample_weight, n_features, names=None, *, is_part=False):
    """X, labels or masses, which rows count, weights (see `check_rows`) that early stopping of `c` judges by, or None."""
    if X is None and y is None and sample_weight is None:
        return None
    if X is None or y is None:
        raise ValueError("X_val and y_val must be given both, and sample_weight_val only with them")
    if options.early_stopping is None:
        raise ValueError("X_val and y_val need early_stopping=True, which stops by them")
    check_same_names("X_val", feature_names(X), names)
    canonical = options.direct_name in ("sparse", "auto")
    X = check_input(c, X, dtype=options.dtype, canonical=canonical, is_fitted=False, may_be_none=is_part, name="X_val")
    if X.shape[1] != n_features:
        raise ValueError(f"X_val has {X.shape[1]} features, but {n_features} are expected")
    y, counted = check_targets(y, X.shape[0], options.ignore_label, name="y_val")
    weight = check_sample_weight(sample_weight, X.shape[0], counted, name="sample_weight_val", is_part=is_part)
    X = X if counted is None else X[counted]
    if not is_part:
        check_some_rows(X, name="y_val")
    return X, y, counted, weight


def check_resumes(c, options, choices, model, classes, n_features, initial_weights, names=None):
    """Raise where `fit` is to resume the training of a model, with `warm_start`, on another problem.

    c : the SoftmaxClassifier, for what it was fitted on
    initial_weights : dict of the arrays to begin at, None where they are not given
    names : of the columns of X, or None
    """
    if any(a is not None for a in initial_weights.values()):
        raise ValueError(
            "coef_init, intercept_init and embedding_init cannot be given where warm_start goes on from a model"
        )
    check_same_names("X", names, getattr(c, "feature_names_in_", None))
    if n_features != c.n_features_in_:
        raise ValueError(f"warm_start needs the same features: X has {n_features}, the model so far {c.n_features_in_}")
    if not are_same_classes(classes, c.classes_):
        new, gone = (_missing(*pair) for pair in ((classes, c.classes_), (c.classes_, classes)))
        raise ValueError(
            f"warm_start needs the same classes: y has {new} that the model so far has not, and lacks {gone}"
        )
    if options.dtype != model.dtype:
        raise ValueError(f"warm_start needs the same dtype: {model.dtype} so far, got {options.dtype}")
    check_not_compact(model, "warm_start")
    check_trainable(options, choices, model, n_features)


def _missing(classes, others):
    """The first few that the others lack."""
    others = set(others.tolist())
    return [label for label in classes.tolist() if label not in others][:5]


def check_start(coef_init, intercept_init, direct, shape, dtype):
    """Sparse weights (CSC) and bias to begin training with, each None where it is not given."""
    if coef_init is None and intercept_init is None:
        return None, None
    if coef_init is None or direct != "sparse":
        given = "intercept_init without coef_init" if coef_init is None else f"direct={direct!r}"
        raise ValueError(f"coef_init needs direct='sparse', and intercept_init needs coef_init, got {given}")
    if not sparse.issparse(coef_init):
        raise TypeError(f"coef_init must be a scipy.sparse matrix, got {type(coef_init).__name__}")
    W = check_sparse_W(coef_init, dtype=dtype, name="coef_init")
    if W.shape != shape:
        raise ValueError(f"coef_init must have shape {shape}, (classes in y, features), got {W.shape}")
    bias = check_bias(intercept_init, shape[0], dtype, name="intercept_init")
    if bias is not None and not np.isfinite(bias).all():
        raise ValueError(f"intercept_init must be finite, got {bias[~np.isfinite(bias)][0]}")
    return W, bias


def check_initial_weights(options, shape, *, coef_init, intercept_init, embedding_init):
    """W, bias and E to begin training with, each None where it is not given; `shape` : (n_classes, n_features)."""
    W, bias = check_start(coef_init, intercept_init, options.direct_name, shape, options.dtype)
    return W, bias, check_embedding(embedding_init, options, shape[1])


def check_same_plan(choices, plan):
    """Raise where the parameters ask for other terms than the model so far has."""
    for name in ("direct", "hidden_size"):
        so_far, wanted = getattr(choices, name), getattr(plan, name)
        if so_far != wanted:
            raise ValueError(f"warm_start needs the same terms: {name} is {so_far!r} so far, got {wanted!r}")
