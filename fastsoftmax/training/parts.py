"""What a SoftmaxClassifier trains: its terms, each on a loss of its own, or both on the loss of their sum."""

import numpy as np

import fastsoftmax.samplers as samplers
import fastsoftmax.validation as v
from fastsoftmax.losses import LOSSES
from fastsoftmax.training import initial, planning, schedules
from fastsoftmax.training.joint import HeadAndTail, JointPart, JointRunner
from fastsoftmax.training.part import FullSoftmax, Part, RunningNormaliser, Sampled

DIRECT_EPOCHS = 3  # of a sparse term beside a low-rank one: it learns no more in further ones


def make(classifier, X, optimizer, n_epochs=None, comes_again=False):
    """The Parts for steps on rows of the checked X, for whose optimisers the model is ready.

    comes_again : whether each row does, so that what is known of it after a step is of use in the next
    n_epochs : of the schedule; None: the learning rates stay
    """
    c = classifier
    schedule, direct_schedule = schedules.make(c.schedule), schedules.make(c.schedule, is_sparse=True)
    if c.joint and c.direct_ == "sparse" and c.hidden_size_ is not None:
        direct_optimizer = _direct_optimizer(c)
        runner = c._runner(X, kind=JointRunner, direct_optimizer=direct_optimizer)
        runner.trains_embedding = not c.freeze_embedding
        return [
            JointPart(runner, _loss(c, runner, HeadAndTail), optimizer, direct_optimizer, direct_schedule, n_epochs)
        ]
    parts = []
    if c.direct_ == "sparse" and c.direct_learning_rate != 0:
        runner = c._runner(X, c._model.sparse_direct())
        direct_epochs = n_epochs and (n_epochs if c._model.E is None else min(n_epochs, DIRECT_EPOCHS))
        parts.append(
            Part(runner, FullSoftmax(), _direct_optimizer(c), direct_schedule, direct_epochs, "direct_learning_rate")
        )
    if c.direct_ != "sparse" or c.hidden_size_ is not None:
        model = c._model.low_rank() if c.direct_ == "sparse" else c._model
        if model.E is not None and len(model.E) < X.shape[1]:
            X = X[:, : len(model.E)]
        runner = c._runner(X, model)
        runner.trains_embedding = not c.freeze_embedding
        normaliser = None
        rate = planning.normaliser_rate(c.normaliser_rate, c.loss_, len(c.classes_))
        if comes_again and rate < 1:
            normaliser = RunningNormaliser(X.shape[0], rate)
        parts.append(Part(runner, _loss(c, runner, Sampled), optimizer, schedule, n_epochs, normaliser=normaliser))
    return parts


def _loss(c, runner, sampled):
    """The loss of the low-rank or dense term, whose sampler goes on from earlier calls of partial_fit if it is the same."""
    if c.loss_ == "softmax":
        return FullSoftmax(c.gradient_threshold)
    if c._sampler is None or c.sampler != c._sampler_given:
        resumes = c._sampler is None and c._sampler_state is not None and c._sampler_state[0] == c.sampler
        if c._sampler_counts is None or not resumes:
            c._sampler_counts = c._class_counts
        # in_batch can do without the classes not seen yet, which make the others' shares wrong
        counts = (
            c._sampler_counts if samplers.kind_of(c.sampler).draws_targets else initial.at_least_one(c._sampler_counts)
        )
        c._sampler, c._sampler_given = (
            samplers.make(c.sampler, counts, logistic_loss=c.loss_ if LOSSES[c.loss_].is_logistic else None),
            c.sampler,
        )
        if resumes:
            c._sampler.restore(c._sampler_state[1])
        c._sampler_state = None
    v.check_followed("sampler", c._sampler, runner.has_hidden)
    return sampled(c._sampler, c.n_negatives, c.loss_)


def _direct_optimizer(c):
    return planning.sparse_optimizer(c.get_params(), len(c.classes_), np.sqrt(c._damping), c._damping)
