"""How SoftmaxClassifier is trained: schedules, penalties, where it begins, what it goes on from, rows to judge by."""

import numpy as np
from scipy import sparse

from fastsoftmax.validation.arrays import as_real_array
from fastsoftmax.validation.compact import check_not_compact
from fastsoftmax.validation.estimators import check_input, check_same_names, feature_names
from fastsoftmax.validation.linear import check_bias, check_sparse_W
from fastsoftmax.validation.rows import check_some_rows, check_targets
from fastsoftmax.validation.scalars import check_bool, check_option, check_real
from fastsoftmax.validation.targets import check_sample_weight


def check_training(c, schedules):
    """The parameters of the SoftmaxClassifier `c` that say how it is trained."""
    check_schedule(c.schedule, schedules)
    if not isinstance(c.average, (bool, np.bool_)):
        check_real("average", c.average, above=0, maximum=1)
    check_real("l1_alpha", c.l1_alpha, minimum=0)
    check_l1(c.l1_alpha, c.direct)
    for name in ("early_stopping", "warm_start", "freeze_embedding"):
        check_bool(name, getattr(c, name))
    if c.clip_norm is not None:
        check_real("clip_norm", c.clip_norm, above=0)


def check_l1(l1_alpha, direct):
    """Raise where there is nothing that it penalises; `direct` is what "auto" stands for."""
    if l1_alpha and direct is None:
        raise ValueError(f"l1_alpha must be 0 with direct=None, got {l1_alpha}: it is on the direct term alone")


def check_freeze(freeze_embedding, hidden_size):
    """Raise where there is nothing to keep as it is; `hidden_size` is what "auto" stands for."""
    if freeze_embedding and hidden_size is None:
        raise ValueError("freeze_embedding must be False where there is no low-rank term (hidden_size=None)")


def check_schedule(schedule, schedules):
    """One of the names `schedules`, or a function whose factors are numbers from 0 on."""
    if not callable(schedule):
        check_option("schedule", schedule, ("auto", *schedules))
        return
    for progress in (0.0, 0.25, 0.5, 0.75, 1.0):
        check_real(f"schedule({progress})", schedule(progress), minimum=0)


def check_embedding(embedding_init, c, n_features):
    """`embedding_init` in the dtype of the SoftmaxClassifier `c`, or None."""
    if embedding_init is None:
        return None
    E = as_real_array("embedding_init", embedding_init)
    n_rows = c.n_hidden_features or n_features
    if E.ndim != 2 or E.shape[0] != n_rows or E.shape[1] == 0:
        raise ValueError(f"embedding_init must have shape ({n_rows}, hidden_size), a row a feature, got {E.shape}")
    if c.hidden_size is None or (c.hidden_size != "auto" and c.hidden_size != E.shape[1]):
        raise ValueError(
            f"hidden_size must be 'auto' or the width of embedding_init, {E.shape[1]}, got {c.hidden_size!r}"
        )
    with np.errstate(over="ignore"):
        E = E.astype(c.dtype, copy=False)
    if not np.isfinite(E).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(E))[0])
        raise ValueError(f"embedding_init must be finite in {np.dtype(c.dtype)}, got {E[at]} at position {at}")
    return E


def check_validation(c, X, y, sample_weight, n_features, names=None):
    """X, labels or masses, which rows count, weights (see `check_rows`) that early stopping of `c` shall judge by, or None."""
    if X is None and y is None and sample_weight is None:
        return None
    if X is None or y is None:
        raise ValueError("X_val and y_val must be given both, and sample_weight_val only with them")
    if not c.early_stopping:
        raise ValueError("X_val and y_val need early_stopping=True, which stops by them")
    check_same_names("X_val", feature_names(X), names)
    X = check_input(c, X, dtype=np.dtype(c.dtype), canonical=c.direct == "sparse", is_fitted=False, name="X_val")
    if X.shape[1] != n_features:
        raise ValueError(f"X_val has {X.shape[1]} features, but {n_features} are expected")
    y, counted = check_targets(y, X.shape[0], c.ignore_label, name="y_val")
    weight = check_sample_weight(sample_weight, X.shape[0], counted, name="sample_weight_val")
    X = X if counted is None else X[counted]
    check_some_rows(X, name="y_val")
    return X, y, counted, weight


def check_goes_on(c, classes, n_features, begins_at=None, names=None):
    """Whether `fit` goes on from the model so far. Raise where it is to, but the problem is another.

    names : of the columns of X, or None
    begins_at : dict of the arrays to begin at, None where they are not given
    """
    if not c.warm_start or not hasattr(c, "_model"):
        return False
    if any(a is not None for a in (begins_at or {}).values()):
        raise ValueError(
            "coef_init, intercept_init and embedding_init cannot be given where warm_start goes on from a model"
        )
    check_same_names("X", names, getattr(c, "feature_names_in_", None))
    if n_features != c.n_features_in_:
        raise ValueError(f"warm_start needs the same features: X has {n_features}, the model so far {c.n_features_in_}")
    if len(classes) != len(c.classes_) or (classes != c.classes_).any():
        new, gone = (_missing(*pair) for pair in ((classes, c.classes_), (c.classes_, classes)))
        raise ValueError(
            f"warm_start needs the same classes: y has {new} that the model so far has not, and lacks {gone}"
        )
    if np.dtype(c.dtype) != c._model.dtype:
        raise ValueError(f"warm_start needs the same dtype: {c._model.dtype} so far, got {np.dtype(c.dtype)}")
    check_not_compact(c._model, "warm_start")
    check_goes_on_by_same_rules(c)
    return True


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
    with np.errstate(over="ignore"):
        W = check_sparse_W(coef_init.astype(dtype), name="coef_init")
    if W.shape != shape:
        raise ValueError(f"coef_init must have shape {shape}, (classes in y, features), got {W.shape}")
    bias = check_bias(intercept_init, shape[0], dtype, name="intercept_init")
    if bias is not None and not np.isfinite(bias).all():
        raise ValueError(f"intercept_init must be finite, got {bias[~np.isfinite(bias)][0]}")
    return W, bias


def check_begins_at(c, shape, coef_init=None, intercept_init=None, embedding_init=None):
    """W, bias and E to begin training with, each None where it is not given; `shape` : (n_classes, n_features)."""
    W, bias = check_start(coef_init, intercept_init, c.direct, shape, np.dtype(c.dtype))
    return W, bias, check_embedding(embedding_init, c, shape[1])


def check_same_plan(c, plan):
    """Raise where the parameters ask for other terms than the model so far has."""
    for name in ("direct", "hidden_size"):
        so_far, wanted = getattr(c, f"{name}_"), getattr(plan, name)
        if so_far != wanted:
            raise ValueError(f"warm_start needs the same terms: {name} is {so_far!r} so far, got {wanted!r}")


def check_goes_on_by_same_rules(c):
    """Raise where the sparse direct term of the model so far would be trained as it was not meant to be."""
    if c.direct_ == "sparse" and c.direct != "sparse":
        raise ValueError(
            f"direct must be 'sparse' to train a pruned model, got {c.direct!r}: its direct term is sparse now"
        )
    if c._model.pattern is not None and c._model.E is not None and c._model.prior is None and not c.joint:
        raise ValueError("joint must be True to train this model: its two terms were trained on the loss of their sum")
