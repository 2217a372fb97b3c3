"""The initial model: the parameters before the first step."""

import numpy as np
from scipy.special import logit

from fastsoftmax.model.features import Features
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.pairs_runner import CHUNK_PAIRS
from fastsoftmax.model.support import support
from fastsoftmax.passes.pairs import pair_bytes, step_bytes
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import allocation, row_subset
from fastsoftmax.runtime.progress import say
from fastsoftmax.training.state import least_count
from fastsoftmax.validation import (
    check_memory,
    check_row_norms,
    warn_no_pairs,
)

BIAS_DAMPING = 1e-6  # share of the variance of its gradient that Adagrad's sum of the bias starts at
LIKELIEST = 0.99  # probability that the initial bias of a binary loss stands for
SPARSE_PRIOR = 0.5  # the sparse term learns with a bias of this times the log class frequencies (0.3 to 1 do as well)


def make(options, plan, X, target, class_counts, rng, start, shard=WHOLE):
    """The Model of a Plan for checked rows, and what Adagrad's sums of its sparse term start at (None: no such term).

    class_counts : (n_classes,) counts of all classes by weight, from which the bias starts
    start : planning.Start, of all classes
    shard : passes.shard.Shard, the classes that the model is to have
    """
    start, pairs = start.own(shard), None
    n_embedded = options.n_hidden_features or X.shape[1]
    features = Features.of(n_embedded, shard.ranks) if plan.embedding_ranks > 1 else None
    if plan.direct == "sparse":
        pairs = pairs_of(options, X, target, shard, len(class_counts)) if start.W is None else Pairs.of(start.W)
    model = Model.initialise(
        len(shard.own_part(class_counts)),
        X.shape[1],
        plan.hidden_size,
        plan.direct,
        optimizer=options.optimizer,
        dense_input=isinstance(row_subset.unwrapped(X)[0], np.ndarray) and plan.hidden_size is None,
        rng=rng,
        dtype=options.dtype,
        pairs=pairs,
        n_hidden_features=options.n_hidden_features,
        allocator=allocation.of(options.weights_dir),
        shard=shard,
        features=features,
        scale=options.hidden_scale,
    )
    if start.E is not None:
        model.E[...] = start.E[model.hidden_columns]
    loss = options.loss_named(plan.loss)
    model.bias[:] = initial_bias(loss, class_counts, target.per_row, shard)
    if "bias" in model.state:
        _damp_bias(model, options.batch_size)
    if pairs is None:
        return model, None
    damping = check_row_norms(X)
    _check_step_memory(options, plan, model, X)
    if "W" in model.state:
        model.state["W"].fill(damping)
    if start.W is not None:
        model.W[:] = start.W.data
    _set_prior(model, start.bias, SPARSE_PRIOR if loss.exact in ("softmax", "decoupled") else 1.0)
    return model, damping


def _damp_bias(model, batch_size):
    """Start Adagrad's sum of the bias at a small share of what one step will add to it.

    The bias starts where its gradient is zero. Where one batch holds all rows, the first gradient is nothing but rounding,
    from which a sum that starts at zero would make a full step.
    """
    frequencies = np.exp(model.bias)
    model.state["bias"][:] = BIAS_DAMPING / batch_size * frequencies


def initial_bias(loss, class_counts, per_row, shard=WHOLE):
    """The bias that suits all rows best, of a shard's classes: log frequencies; of binary losses, log odds or expected signs.

    class_counts : (n_all_classes,) counts of the classes by mass, of which each row has 1
    per_row : average number of classes of a row
    """
    log_share = log_frequencies(class_counts, shard)
    if loss.exact in ("softmax", "decoupled"):
        return log_share
    probability = np.minimum(per_row * np.exp(log_share), LIKELIEST)
    return logit(probability) if loss.exact == "logistic" else 2 * probability - 1


def log_frequencies(class_counts, shard=WHOLE):
    """The log frequencies of the classes of a shard, where all classes have these counts.

    A class that was not seen counts as if it had been seen once, or as often as the rarest class if that is less.
    """
    least = least_count(class_counts)
    total = class_counts.sum() + least * np.count_nonzero(class_counts == 0)
    counts = shard.own_part(class_counts)
    return np.log(np.maximum(np.where(counts > 0, counts, least) / total, np.finfo(np.float64).tiny))


def pairs_of(options, X, target, shard, n_classes):
    """The pairs of these rows with classes of the shard that a sparse term has weights for; `n_classes` : of all shards."""
    say("counting the pairs of features and classes", options.verbose)
    limits = {name: getattr(options.sparse_term, name) for name in ("min_count", "max_classes_per_feature")}
    rows, classes = target.own_support(shard, n_classes)
    n_own = classes.shape[1] if classes.ndim == 2 else len(shard.own_part(range(n_classes)))
    pairs = Pairs.of(support(X if rows is None else X[rows], classes, limits["min_count"], n_classes=n_own))
    most = limits["max_classes_per_feature"]
    if most is not None:
        pairs = pairs.without(shard.add(pairs.n_classes()) > most)
    if not shard.add(np.array([len(pairs.class_ids)])):
        warn_no_pairs(limits)
    return pairs


def _check_step_memory(options, plan, model, X):
    """Raise where the pairs of the rows of a step, or of those to calibrate on, take more memory than is left."""
    lengths, itemsize = model.pairs.n_classes(), model.dtype.itemsize
    n_bytes, n_pairs = step_bytes(X, lengths, options.batch_size, itemsize)
    if plan.n_calibration_rows:  # which takes rows by chunks
        more = step_bytes(X, lengths, plan.n_calibration_rows, itemsize)
        n_bytes, n_pairs = max((n_bytes, n_pairs), min(more, (CHUNK_PAIRS * pair_bytes(itemsize), CHUNK_PAIRS)))
    formula = f"{n_pairs:,} pairs of a feature and a class; a lower batch_size or max_classes_per_feature needs less"
    check_memory("a training step", n_bytes, formula)


def _set_prior(model, bias, share):
    """Set the bias that the sparse term learns with: the given one, or a share of the initial bias."""
    prior = share * model.bias if bias is None else bias
    if model.E is None:
        model.bias[:] = prior
    else:
        model.prior = prior
