"""How a trained model takes in more: the class counts and pairs of further rows, and further classes."""

import numpy as np

import fastsoftmax.validation as v
from fastsoftmax.training import initial

# A sampler that draws by class counts is made anew once there are this many new rows a class, which pay for it, or
# once their number has grown by that share.
ROWS_A_CLASS = 1 / 64
SHARE = 0.25


def take_in(classifier, X, target):
    """Before the training on further rows of a stream: their classes are counted, their pairs get weights."""
    c = classifier
    counts, unseen = target.counts(len(c.classes_)), c._class_counts == 0
    c._class_counts = c._class_counts + counts
    before = 0 if c._sampler_counts is None else c._sampler_counts.sum()
    new = c._class_counts.sum() - before
    # "in_batch" cannot do without a class that it is to draw
    must = c.sampler == "in_batch" and counts[unseen].any()
    if must or new >= min(ROWS_A_CLASS * len(c.classes_), SHARE * before):
        renew_sampler(c)
    take_in_pairs(c, X, target)


def take_in_pairs(classifier, X, target):
    """The pairs of these rows get weights in the sparse direct term, if there is one."""
    c = classifier
    if c._model.pattern is None:
        return
    if c._damping is None:  # the term was dense, and pruned
        c._damping = v.check_row_norms(X)
    pairs = initial.pattern(c, X, target, len(c.classes_))
    if c.max_classes_per_feature is not None:  # what they keep tells little, and costs the most
        pairs = pairs.without(c._model.pattern.n_classes() > c.max_classes_per_feature)
    c._model.grow(pairs, c._damping)


def renew_sampler(classifier):
    """Let the next training make the sampler by the class counts, if it is one that depends on these and only these."""
    if classifier.sampler in ("in_batch", "unigram"):
        classifier._sampler = classifier._sampler_counts = None


def add_classes(classifier, classes, at):
    """Take in classes; those that there are stand at `at` (ascending) among `classes`."""
    c, model = classifier, classifier._model
    v.check_not_compact(model, "add_classes")
    n_bytes = sum(a.nbytes for a in model.arrays().values())
    v.check_memory(
        "the model with its new classes",
        int(n_bytes * len(classes) / len(c.classes_)),
        f"{n_bytes / 2**20:,.1f} MiB with {len(c.classes_):,} classes, now {len(classes):,}",
    )
    counts = np.zeros(len(classes), c._class_counts.dtype)
    counts[at] = c._class_counts
    frequency = initial.log_frequencies(counts)
    unseen = frequency[counts == 0].min()
    starts = (None if a is None else _slope(a, frequency[at]) * unseen for a in (model.bias, model.prior))
    model.add_classes(at, len(classes), *starts)
    c.classes_, c._class_counts = classes, counts
    c._sampler = c._sampler_given = c._sampler_counts = c._sampler_state = None


def _slope(bias, frequency):
    """How many times the log class frequencies a bias is: what it started at, calibration and training made of it."""
    return max(float(bias.astype(np.float64) @ frequency) / float(frequency @ frequency), 0.0)
