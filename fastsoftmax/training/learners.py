"""The learners of a model: which of its terms train, and on which loss."""

import numpy as np

from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.model.runners import runner_for
from fastsoftmax.passes.row_losses import ROW_LOSSES, SOFTMAX
from fastsoftmax.training import planning, schedules
from fastsoftmax.training.learner import Learner
from fastsoftmax.training.normaliser import RunningNormaliser
from fastsoftmax.training.options import SPARSE_EPOCHS
from fastsoftmax.training.step_losses import FullLoss, SampledLoss
from fastsoftmax.validation import (
    check_followed,
)


def make(options, choices, model, state, X, n_epochs=None, *, n_threads, multi_epoch=False):
    """The Learners for steps on rows of the checked X, for which the model is prepared.

    Parameters
    ----------
    options, choices : training.options.Options and Choices
    model : Model
    state : TrainingState
    n_epochs : epochs of the schedule; None: the learning rates stay as they are
    multi_epoch : whether each row is visited again, so that what one step learns about it is of use in the next
    """
    common = {"n_threads": n_threads, "working_memory": options.working_memory, "reader": RowReader(X.shape[1])}
    learners = []
    if choices.direct == "sparse" and options.sparse_term.learns:
        row_loss = ROW_LOSSES[options.loss_named(choices.loss).exact]
        runner = runner_for(model.sparse_term(), X, loss=row_loss, **common)
        epochs = n_epochs and (n_epochs if model.E is None else min(n_epochs, SPARSE_EPOCHS))
        rule = planning.sparse_rule(options, choices.loss, model.n_all_classes, np.sqrt(state.damping), state.damping)
        schedule = schedules.make(options.schedule, is_sparse=True)
        learners.append(
            Learner(runner, FullLoss(), rule, schedule, epochs, sums=True, rate_name="SparseTerm.learning_rate")
        )
    if choices.direct != "sparse" or choices.hidden_size is not None:
        trained = model.low_rank() if choices.direct == "sparse" else model
        runner = runner_for(trained, X, trains_embedding=not options.freezes_embedding, **common)
        rate = planning.learning_rate(options, choices.loss)
        rule = options.optimizer.rule(rate, choices.alpha, choices.class_alpha)
        loss = _loss(options, choices, state, runner, X.shape[0] if multi_epoch else None)
        learners.append(Learner(runner, loss, rule, schedules.make(options.schedule), n_epochs))
    return learners


def _loss(options, choices, state, runner, n_rows):
    """The loss of a low-rank or dense term; `n_rows` is the number of rows if they are visited again, else None."""
    loss = options.loss_named(choices.loss)
    row_loss = ROW_LOSSES[loss.exact]
    if not loss.is_sampled:
        return FullLoss(loss.threshold, row_loss)
    sampler = state.sampler.for_loss(loss, state.class_counts, runner.model.shard.ranks)
    check_followed(f"{type(loss).__name__}.sampler", sampler, runner.has_hidden)
    rate = planning.normaliser_rate(loss, runner.model.n_all_classes)
    normaliser = RunningNormaliser(n_rows, rate) if n_rows is not None and rate < 1 else None
    n_negatives = planning.n_negatives(loss, runner.model.n_all_classes)
    return SampledLoss(sampler, n_negatives, loss.trains_as, normaliser, None if row_loss is SOFTMAX else row_loss)
