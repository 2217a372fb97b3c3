"""A SoftmaxClassifier's model before its first step."""

import numpy as np

import fastsoftmax.validation as v
from fastsoftmax.model.model import Model, Pattern
from fastsoftmax.model.support import support
from fastsoftmax.passes import pairs
from fastsoftmax.runtime import allocation, row_subset

DIRECT_PRIOR = 0.5  # the sparse term learns beside a bias of this times the log class frequencies (0.3 to 1 do as well)


def make(classifier, plan, X, target, class_counts, rng, start):
    """The Model of a _planning.Plan for checked rows, and what Adagrad's sums of its sparse direct term, if any, start at.

    class_counts : how much each class counts in its starting bias
    start : _planning.Start
    """
    W, bias, c, n_classes, pairs = start.W, start.bias, classifier, len(class_counts), None
    if plan.direct == "sparse":
        pairs = pattern(c, X, target, n_classes) if W is None else Pattern.of(W)
    model = Model.initialise(
        n_classes,
        X.shape[1],
        plan.hidden_size,
        plan.direct,
        optimizer=c._optimizer(),
        dense_input=isinstance(row_subset.parts(X)[0], np.ndarray) and plan.hidden_size is None,
        rng=rng,
        dtype=np.dtype(c.dtype),
        pattern=pairs,
        n_hidden_features=c.n_hidden_features,
        allocator=allocation.of(c.weights_dir),
    )
    if start.E is not None:
        model.E[...] = start.E
    model.bias[:] = log_frequencies(class_counts)
    if pairs is None:
        return model, None
    damping = v.check_row_norms(X)
    _check_step_memory(c, model, X)
    if "W" in model.state:
        model.state["W"].fill(damping)
    if W is not None:
        model.W[:] = W.data
    _set_prior(model, bias, c.joint)
    return model, damping


def log_frequencies(class_counts):
    """Of classes that were seen so often; one that was not counts as one seen once, or as the rarest if that is less."""
    counts = at_least_one(class_counts)
    return np.log(counts / counts.sum())


def at_least_one(class_counts):
    """The counts, with one for zero, or less where other classes have less."""
    return np.where(class_counts > 0, class_counts, min(1, class_counts[class_counts > 0].min(initial=1)))


def pattern(classifier, X, target, n_classes):
    """The pairs of these rows that a sparse direct term has weights for."""
    limits = {name: getattr(classifier, name) for name in ("min_count", "max_classes_per_feature")}
    return Pattern.of(support(X, target.support(), n_classes=n_classes, **limits))


def _check_step_memory(c, model, X):
    lengths = np.diff(model.pattern.indptr)
    n_bytes, n_pairs = pairs.step_bytes(X, lengths, c.batch_size, model.dtype.itemsize)
    formula = f"{n_pairs:,} pairs of a feature and a class; a lower batch_size or max_classes_per_feature needs less"
    v.check_memory("a training step", n_bytes, formula)


def _set_prior(model, bias, joint):
    """The bias beside which the sparse term learns: the given one, or a share of the log class frequencies."""
    prior = DIRECT_PRIOR * model.bias if bias is None else bias
    if model.E is None:
        model.bias[:] = prior
    elif not joint:
        model.prior = prior
    elif bias is not None:
        model.bias[:] = bias
