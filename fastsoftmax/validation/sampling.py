"""Samplers of classes, and what sampled losses take."""

import numpy as np

from fastsoftmax.runtime.warning import warn
from fastsoftmax.validation.arrays import as_int_vector, as_real_array, as_vector
from fastsoftmax.validation.scalars import is_auto


def check_counts(name, counts):
    """`counts` as a 1-D array of float32 or float64: finite, non-negative, not all zero."""
    counts = as_real_array(name, counts)
    if counts.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {counts.shape}")
    bad = ~(np.isfinite(counts) & (counts >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name} must be finite and non-negative, got {name}[{i}] = {counts[i]}")
    if not counts.any():
        raise ValueError(f"{name} must have at least one positive entry, got {len(counts)} zeros")
    return counts


def check_falling(name, counts, n_classes):
    """`check_counts` of `n_classes` classes; UserWarning where they rise."""
    counts = check_counts(name, counts)
    if len(counts) != n_classes:
        raise ValueError(f"{name} must have n_classes ({n_classes}) entries, got {len(counts)}")
    rises = counts[1:] > counts[:-1]
    if rises.any():
        k = int(rises.argmax()) + 1
        warn(
            f"{name} must fall for a log-uniform sampler, but class {k} was seen more often ({counts[k]:g}) than class "
            f"{k - 1} ({counts[k - 1]:g}): number the classes by falling frequency, or sample by Unigram",
            UserWarning,
        )


def check_counted(name, target, probabilities):
    """Raise where one of these classes has a probability of zero."""
    if not probabilities.all():
        k = target[probabilities.argmin()]
        raise ValueError(f"{name} must hold classes that InBatch was given a positive count for, got {k}")


def check_class_ids(name, class_ids, n_classes):
    """`class_ids` as a 1-D int64 array of classes in [0, n_classes)."""
    class_ids = as_int_vector(name, class_ids)
    if len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < n_classes):
        i = int(((class_ids < 0) | (class_ids >= n_classes)).argmax())
        raise ValueError(f"{name} must be in [0, {n_classes}), got {name}[{i}] = {class_ids[i]}")
    return class_ids.astype(np.int64, copy=False)


def check_log_expected_counts(name, values, classes, classes_name):
    """`values` as float64, one finite number for each of `classes`: an array, or the shape of one."""
    values = as_real_array(name, values).astype(np.float64)
    shape = getattr(classes, "shape", classes)
    if values.shape != shape:
        raise ValueError(f"{name} must have the shape of {classes_name}, {shape}, got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"{name} must be finite, got {values.flat[bad[0]]} at position {bad[0]}")
    return values


def check_given(name, value, loss):
    """`value`, which this loss needs."""
    if value is None:
        raise ValueError(f"{name} must be given for loss={loss!r}, got None")
    return value


def check_no_negatives(name, n_negatives, sampler):
    """Raise where a number of negatives is given for a sampler that draws none."""
    if not is_auto(n_negatives):
        raise ValueError(
            f"{name} must be 'auto' with a sampler that draws none, got {n_negatives} with {sampler!r}: name another sampler, "
            "such as 'unigram'"
        )


def check_n_negatives(name, n_negatives, n_classes):
    """Sampling must be cheaper than the full softmax that it stands for."""
    if n_negatives >= n_classes:
        raise ValueError(
            f"{name} must be below the number of classes ({n_classes}), got {n_negatives}: "
            "loss='softmax' is exact and costs no more"
        )


def check_unique(name, sampler, n_batches):
    """Raise where different classes are asked of a sampler that gives a batch's targets as they are."""
    if n_batches:
        raise ValueError(f"{name} must be False for a batch's own targets, which may repeat, got True for {sampler!r}")


def check_sampler(name, sampler, n_classes, loss=None):
    """A candidate sampler over `n_classes` classes; for `loss`, if given, it knows how often any class is expected."""
    if not (hasattr(sampler, "draw") and hasattr(sampler, "n_classes")):
        raise TypeError(f"{name} must be the name of a sampler or have draw and n_classes, got {sampler!r}")
    if sampler.n_classes != n_classes:
        raise ValueError(f"{name} must have {n_classes} classes, got {sampler!r} with {sampler.n_classes}")
    if loss is not None and not hasattr(sampler, "log_expected_counts"):
        raise TypeError(
            f"{name} must have log_expected_counts(class_ids, n) for loss={loss!r}, which needs it for a row's own class, "
            f"got {sampler!r}"
        )
    if loss is not None and getattr(sampler, "_n_drawable", n_classes) < n_classes:
        raise ValueError(
            f"{name} must draw any class sometimes for loss={loss!r}, or rows of that class teach nothing, "
            f"got {sampler!r} with {n_classes - sampler._n_drawable} classes of probability 0"
        )
    return sampler


def check_can_resume(name, sampler):
    """Raise where the state of a user's sampler, an object, cannot be written to a checkpoint."""
    if not isinstance(sampler, str) and not (hasattr(sampler, "state") and hasattr(sampler, "restore")):
        raise TypeError(
            f"{name} must have state() and restore(state) for checkpoints, as fastsoftmax.samplers have, got {sampler!r}"
        )


def check_followed(name, sampler, has_hidden):
    """Raise where a sampler is to follow a model that has nothing dense to draw by."""
    if sampler.follows_model and not has_hidden:
        raise ValueError(
            f"{name} must not be one that follows the model where that has no low-rank term and X is sparse: "
            f"it draws by a hidden layer or dense X, got {sampler!r}"
        )


def check_samplers(name, samplers, kind):
    """A tuple of samplers of class `kind` over the same classes."""
    if isinstance(samplers, kind) or not np.iterable(samplers) or isinstance(samplers, str):
        raise TypeError(f"{name} must be a sequence of samplers, got {samplers!r}")
    samplers = tuple(samplers)
    if not samplers:
        raise ValueError(f"{name} must hold at least one sampler, got none")
    for sampler in samplers:
        if not isinstance(sampler, kind):
            raise TypeError(f"{name} must hold samplers of fastsoftmax.samplers, got {sampler!r}")
        if sampler.n_classes != samplers[0].n_classes:
            raise ValueError(f"{name} must have the same classes, got {samplers[0].n_classes} and {sampler.n_classes}")
    return samplers


def check_shares(name, shares, n):
    """`n` positive numbers as floats that sum to 1; equal ones where None."""
    shares = as_vector(name, np.ones(n) if shares is None else shares, n, "sampler").astype(np.float64)
    if not (np.isfinite(shares) & (shares > 0)).all():
        raise ValueError(f"{name} must be finite and positive, got {shares.tolist()}")
    shares = shares / shares.max()
    return tuple((shares / shares.sum()).tolist())
