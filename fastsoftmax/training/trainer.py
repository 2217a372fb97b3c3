"""The training loop: epochs of mini-batches in random order, with watchers."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax.files.state_dict import generator_state, restore_generator
from fastsoftmax.runtime.warning import warn

DIVERGED = 10.0  # times the loss of a model that knows nothing, which no training that learns comes near


class Trainer:
    """Runs the learners of a model through epochs.

    Everything that further steps depend on, beside the model, is in its attributes, so it can stop after any step and go on.

    Parameters
    ----------
    learners : list of Learner, over the same rows
    target : targets.HardTargets or SoftTargets
    weight : (n_samples,) float64, of mean 1
    labels : one of losses.LABELS: how the labels of a row take part
    batch_size : int
    rng : numpy Generator
    loss_curve : list to which the mean loss of each epoch is added

    Attributes
    ----------
    epoch : number of complete epochs
    steps_done : number of steps in all epochs
    order : rows of the current epoch in random order, or None between epochs
    position : number of rows of the current epoch that are done
    total : sum of the losses of these rows
    stopped : whether a watcher has asked for no further epoch
    rng_at_order : generator_state from which `order` was drawn
    first_loss : the loss of this run's first step, from before it; None where there was none
    """

    def __init__(self, learners, target, weight, *, labels="one", batch_size, rng, loss_curve):
        self.learners, self.target, self.weight, self.labels = learners, target, weight, labels
        self.batch_size, self.rng, self.loss_curve = batch_size, rng, loss_curve
        self.steps_per_epoch = -(-len(target) // batch_size)
        self.epoch = self.steps_done = self.position = 0
        self.order, self.total, self.stopped = None, 0.0, False
        self.rng_at_order = self.first_loss = None

    def run(self, n_epochs, watchers=()):
        """Run epochs until `n_epochs` are complete or a watcher stops training."""
        try:
            for watcher in watchers:
                watcher.begin(self)
            while self.epoch < n_epochs and not self.stopped:
                self._epoch(watchers)
            for watcher in watchers:
                watcher.finish(self)
        finally:
            for watcher in watchers:
                watcher.close()

    def _epoch(self, watchers):
        """Run one pass over all rows in random order, or the rest of a pass."""
        if self.order is None:
            self.rng_at_order = generator_state(self.rng)
            self.order, self.position, self.total = self.rng.permutation(len(self.target)), 0, 0.0
        for watcher in watchers:
            watcher.before_epoch(self)
        while self.position < len(self.order):
            rows = self.order[self.position : self.position + self.batch_size]
            loss = self._step(rows)
            self.position += len(rows)
            self.total += loss * len(rows)
            for watcher in watchers:
                watcher.after_step(self, len(rows), loss)
        self.loss_curve.append(float(self.total / len(self.order)))
        self.order = None
        self.epoch += 1
        for watcher in watchers:
            watcher.after_epoch(self)

    def _step(self, rows):
        """Take one step on these rows, and return the mean loss of the learners that still learn."""
        losses, target = [], self.target.of_batch(rows, self.labels, self.rng)
        for learner in self.learners:
            rate = learner.rate(self.steps_done / self.steps_per_epoch)
            if rate is not None:
                losses.append(learner.step(rows, target, self.weight[rows], self.rng, rate))
        self.steps_done += 1
        loss = sum(losses) / len(losses)
        if not np.isfinite(loss):
            raise FloatingPointError(self._diverged(f"the loss became {loss}"))
        if self.first_loss is None:
            self.first_loss = loss
        return loss

    def state(self):
        """Everything that further steps depend on beside the model, for checkpoints."""
        return {
            "epoch": self.epoch,
            "steps_done": self.steps_done,
            "position": self.position,
            "total": float(self.total),
            "stopped": bool(self.stopped),
            "rng": generator_state(self.rng),
            "rng_at_order": None if self.order is None else self.rng_at_order,
            "loss_curve": list(self.loss_curve),
            "learners": {str(i): learner.state() for i, learner in enumerate(self.learners)},
        }

    def restore(self, state):
        """Continue from a `state` of another Trainer with the same learners and rows."""
        for name in ("epoch", "steps_done", "position", "total", "stopped", "rng_at_order"):
            setattr(self, name, state[name])
        self.order = None
        if self.rng_at_order is not None:
            restore_generator(self.rng, self.rng_at_order)
            self.order = self.rng.permutation(len(self.target))
        restore_generator(self.rng, state["rng"])
        self.loss_curve[:] = state["loss_curve"]
        for learner, saved in zip(self.learners, state["learners"].values(), strict=True):
            learner.restore(saved)

    def check_finite(self):
        """Raise FloatingPointError where the last steps, whose effect no loss has shown yet, left infinity or NaN.

        It reads the whole model, so it is called once after training and not after each step.
        """
        models = [learner.runner.model for learner in self.learners]
        with models[0].shard.ranks.together():
            if any(model.first_non_finite() for model in models):
                raise FloatingPointError(self._diverged("weights or squared gradients became infinite or NaN"))

    def warn_if_diverged(self):
        """ConvergenceWarning where the last epoch's loss is far above that of the first step, and of knowing nothing."""
        if not self.loss_curve or self.first_loss is None:
            return
        last, nothing = self.loss_curve[-1], max(self.first_loss, np.log(self.learners[0].runner.model.n_all_classes))
        if last > DIVERGED * nothing:
            what = f"the loss of the last epoch is {last:.4g}, while a model that knows nothing has about {nothing:.2g}"
            warn(self._diverged(what), ConvergenceWarning)

    def _diverged(self, what):
        rates = " and ".join(f"{learner.rate_name} (now {learner.rule.learning_rate})" for learner in self.learners)
        return (
            f"{what}: training diverged; lower {rates}, scale the rows of X "
            "(sklearn.preprocessing.normalize), or raise alpha"
        )
