"""The training of a model: its epochs with their watchers, and the calibration of its terms in the end."""

import numpy as np

from fastsoftmax.model.runners import runner_for
from fastsoftmax.passes.row_losses import ROW_LOSSES, SOFTMAX
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.progress import say, shown_rows
from fastsoftmax.runtime.row_subset import RowSubset
from fastsoftmax.training import calibration, learners, marginals, ranking
from fastsoftmax.training.trainer import Trainer
from fastsoftmax.training.watchers.averaging import SHARE, Averaging
from fastsoftmax.training.watchers.callbacks import EpochTasks
from fastsoftmax.training.watchers.checkpoint import describe
from fastsoftmax.training.watchers.early_stopping import EarlyStoppingWatcher
from fastsoftmax.training.watchers.exchanges import Exchanges
from fastsoftmax.training.watchers.l1 import L1
from fastsoftmax.training.watchers.progress import Progress


class Training:
    """Trains a model. The model, its state and the curves belong to the caller and are changed in place.

    Parameters
    ----------
    options, choices : training.options.Options and Choices
    model : Model
    state : TrainingState
    loss_curve : list to which the mean loss of each epoch is added
    """

    def __init__(self, options, choices, model, state, loss_curve):
        self.options, self.choices, self.model, self.state = options, choices, model, state
        self.loss_curve = loss_curve
        self.n_threads = threads.resolve(options.n_threads)

    @property
    def learns_nothing(self):
        """Whether no term learns."""
        return self.choices.is_sparse_alone and not self.options.sparse_term.learns

    def runner(self, X, model=None):
        """The runner of the model, or of another one, over checked X."""
        common = {"n_threads": self.n_threads, "working_memory": self.options.working_memory}
        return runner_for(self.model if model is None else model, X, **common)

    def trainer(self, X, target, weight, n_epochs=None, *, multi_epoch=False):
        """A Trainer with a schedule over `n_epochs`, or without one (None).

        multi_epoch : whether it visits each row several times
        """
        model, state = self.model, self.state
        is_new = model.pairs is not None and "W" not in model.state
        model.prepare(self.options.optimizer)
        if is_new and "W" in model.state:
            model.state["W"].fill(state.damping)
        common = {"n_threads": self.n_threads, "multi_epoch": multi_epoch}
        trained = learners.make(self.options, self.choices, model, state, X, n_epochs, **common)
        labels = self.options.loss_named(self.choices.loss).labels_used
        common = {"batch_size": self.options.batch_size, "rng": state.rng, "loss_curve": self.loss_curve}
        return Trainer(trained, target, weight, labels=labels, **common)

    def run(self, X, target, weight, n_epochs, *, task, valid, validation_curve, checkpoint, plan):
        """Run all epochs of `fit`.

        Parameters
        ----------
        X, target, weight : the training rows
        task : watchers.callbacks.FitTask, which has a task below it for each epoch
        valid : (X, target, weight) of held-out rows, or None; the model of the epoch that suits them best is kept
        validation_curve : list to which the loss of these rows after each epoch is added
        checkpoint : watchers.checkpoint.CheckpointWatcher, or None
        plan : Plan
        """
        if self.learns_nothing:
            return
        watchers, judged = self.watchers(X, n_epochs), lambda: self.model
        if self.options.average:
            share = SHARE if self.options.average is True else self.options.average
            watchers.append(Averaging(self.model, share, n_epochs))
            judged = watchers[-1].averaged
        if valid is not None:
            patience = self.options.early_stopping.n_iter_no_change

            def loss(model):
                return self._validation_loss(model, *valid)

            watchers.append(EarlyStoppingWatcher(self.model, judged, loss, patience, validation_curve))
        watchers.append(EpochTasks(task, list(watchers)))
        size = {"n_rows": X.shape[0], "n_bytes": self.model.file_needed()[0]}
        say("preparing the steps", self.options.verbose, **size)
        trainer = self.trainer(X, target, weight, n_epochs, multi_epoch=n_epochs > 1)
        if checkpoint is not None:
            checkpoint.resume(trainer, watchers, self.model, plan)
            if trainer.steps_done:
                say(f"going on from the checkpoint, in epoch {trainer.epoch + 1}", self.options.verbose)
            watchers = [*watchers, checkpoint]
        trainer.run(n_epochs, watchers)
        say("checking that the weights are finite", self.options.verbose, **size)
        trainer.check_finite()
        self._check_replicas()
        trainer.warn_if_diverged()

    def _check_replicas(self):
        """Raise where ranks that each step all of E have drifted apart, as CPUs of several kinds may round."""
        model, ranks = self.model, self.model.shard.ranks
        if ranks.size > 1 and model.E is not None and model.features is None:
            ranks.agree(**{"the checksum of the embedding that all ranks have trained": describe(model.E)})

    def run_once(self, X, target, weight):
        """Run the one epoch of `partial_fit`."""
        if not self.learns_nothing:
            trainer = self.trainer(X, target, weight)
            trainer.run(1, self.watchers(X, 1))
            trainer.warn_if_diverged()

    def calibrate(self, X, target, weight, model=None):
        """Multiply the terms of the model, or of another one, by the factors that suit these rows, and return these.

        A dense direct term stays as it is.
        """
        runner = self.runner(X, model)
        if runner.model.has_dense_direct:
            return {}
        return calibration.calibrate(runner, target, weight, tied=self.choices.ranks, verbose=self.options.verbose)

    def rank(self, objective, X, target, weight, held_out):
        """The Ranked that one-vs-all on hard negatives makes of the model.

        objective : the name of one that ranks
        held_out : rows to choose by, or None
        """
        objective = self.options.objective_named(objective)
        verbose = self.options.verbose
        n, negatives = ranking.n_candidates(objective, X.shape, X.nnz, self.model.n_classes), None
        if n is not None:
            say("looking for hard negatives", verbose, n_rows=X.shape[0])
            negatives = ranking.shortlists(self.runner(X, self.model.sparse_term()), target, n)
        n_solved = self.model.n_classes * ranking.n_penalties(objective, held_out)
        with shown_rows(n_solved, "ranking", verbose, "labels") as show:
            rows = X, target, weight, negatives
            common = {"n_threads": self.n_threads, "show": show}
            return ranking.rank(objective, self.model, *rows, held_out, runner_of=self.runner, **common)

    def marginals(self, X, target, model=None):
        """What turns logits of the model, or of another one, into marginal probabilities of these rows: see marginals.fit."""
        row_loss = ROW_LOSSES[self.options.loss_named(self.choices.loss).exact]
        if not target.several_labels and row_loss.binary < 0:
            return {}
        return marginals.fit(self.runner(X, model), target)

    def _validation_loss(self, model, X, target, weight):
        """The loss of these rows that training lowers, over all classes."""
        loss = self.options.loss_named(self.choices.loss)
        runner, row_loss = self.runner(X, model), ROW_LOSSES[loss.exact]
        with shown_rows(X.shape[0], "validating", self.options.verbose) as show:
            if row_loss is SOFTMAX and loss.labels_used != "sum":
                losses = target.nll(runner, show)
            else:
                losses = runner.losses(lambda rows: target.of_batch(rows, loss.labels_used, None), row_loss, show)
            return self.model.shard.ranks.first(float(np.average(losses, weights=weight)))

    def watchers(self, X, n_epochs):
        """What watches any training: the progress bar, the exchanges of ranks, and the L1 penalty."""
        watchers = [Progress(X.shape[0], n_epochs)] if self.options.verbose else []
        if self.options.verbose > 1 and self.model.shard.ranks.size > 1:
            watchers.append(Exchanges(self.model.shard.ranks))
        l1_alpha = self.options.optimizer.l1_alpha
        return [*watchers, L1(l1_alpha)] if l1_alpha else watchers


def hold_out(X, target, weight, size, rng, *, copy):
    """Split rows at random: (X, target, weight) of the training rows, and of the held-out rows.

    size : share or number of the held-out rows
    copy : whether the rows of X are copied; else they are RowSubsets
    """
    from sklearn.model_selection import train_test_split

    seed = int(rng.integers(np.iinfo(np.int32).max))
    take = (lambda rows: X[rows]) if copy else (lambda rows: RowSubset(X, rows))
    both = train_test_split(np.arange(X.shape[0]), test_size=size, random_state=seed)
    return tuple((take(rows), target[rows], weight[rows]) for rows in both)


def spread(n, X, target, weight):
    """At most `n` of the rows, evenly spaced, since the rows may be sorted by something."""
    n_rows = X.shape[0]
    at = np.arange(n_rows) if n_rows <= n else np.arange(n) * n_rows // n
    return X[at], target[at], weight[at]
