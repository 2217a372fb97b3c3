"""What one training step does: the loss of some terms of a model, full softmax or sampled, and its optimiser."""

import numpy as np

from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import Candidates


class FullSoftmax:
    """Every class takes part in every step; `gradient_threshold` as for linear_cross_entropy."""

    def __init__(self, gradient_threshold=0.0):
        self.gradient_threshold = gradient_threshold

    follows_model = False

    def candidates(self, target, rng, hidden=None):
        """What `Runner.step` takes beside rows, targets and weights."""
        if not self.gradient_threshold:
            return {}
        return {"rounding": tiles.Rounding(self.gradient_threshold, tiles.draw_row_keys(rng, len(target)))}

    def observe(self, target):
        """What was just trained on: it makes no difference to later steps."""

    def state(self):
        return {}

    def restore(self, state):
        """There is nothing to restore."""


class Sampled:
    """The targets of a batch and classes drawn for it take part; see `sampled.Candidates`.

    Parameters
    ----------
    sampler : fastsoftmax.samplers.Sampler
    n_negatives : int
    loss : one of sampled.LOSSES
        "negative_sampling" is "sampled_logistic": word2vec's bias is the model's less the log expected count, which changes
        no other gradient, and the model's own logits are those of probabilities.
    """

    def __init__(self, sampler, n_negatives, loss="sampled_softmax"):
        self.sampler, self.n_negatives, self.loss = sampler, n_negatives, loss
        self.follows_model = sampler.follows_model

    def candidates(self, target, rng, hidden=None):
        class_ids, log_expected, log_expected_targets = self.sampler.draw_for(self.n_negatives, rng, target, hidden)
        # where a batch's own targets are negatives, a row's is none of its draws: only what other rows have counts
        n_own = self.sampler._n_batches if len(target) > 1 else 0
        loss = "sampled_logistic" if self.loss == "negative_sampling" else self.loss
        candidates = Candidates(target, class_ids, log_expected, loss=loss)
        if candidates.weight is not None:
            candidates.n_own, candidates.target_shift = n_own, -log_expected_targets
        return {"candidates": candidates}

    def follow(self, model):
        """Tell the sampler the weights that it is to follow."""
        self.sampler.follow(model.W if model.V is None else model.V, model.bias)

    def observe(self, target):
        self.sampler.observe(target)

    def state(self):
        return self.sampler.state()

    def restore(self, state):
        self.sampler.restore(state)


class RunningNormaliser:
    """An estimate of log Z for each training row that all its draws so far have a part in.

    exp(log Z) moves towards the estimate of each new step by `rate` of the way, in log space: the mirror descent of SCENT
    (arXiv:2602.02877). In the gradient exp(z - log Z) then stands for the softmax, which varies less from
    draw to draw than that of one step's candidates alone. The first visit takes its own estimate.
    """

    def __init__(self, n_rows, rate):
        self.log_z, self.rate = np.full(n_rows, np.nan), rate

    def update(self, rows, lse):
        """The new log Z of these rows, different ones, after an estimate `lse`."""
        old = self.log_z[rows]
        old = np.where(np.isnan(old), lse, old)
        new = np.logaddexp(np.log1p(-self.rate) + old, np.log(self.rate) + lse)
        self.log_z[rows] = new
        return new

    def state(self):
        return {"log_z": self.log_z}

    def restore(self, state):
        self.log_z[:] = state["log_z"]


class Part:
    """Terms of a model that train on a loss of their own.

    Parameters
    ----------
    runner : _runner.Runner over the training rows
    loss : FullSoftmax or Sampled
    optimizer : SGD or Adagrad
    schedule : function of the progress, from 0 to 1, that gives the factor of the learning rate
    n_epochs : int or None
        Those of the progress, then the terms stay. None: there is no end, and no schedule is needed.
    rate_name : what the user knows its learning rate as
    normaliser : RunningNormaliser of sampled softmax, or None
    """

    def __init__(
        self, runner, loss, optimizer, schedule=None, n_epochs=None, rate_name="learning_rate", normaliser=None
    ):
        self.runner, self.loss, self.optimizer = runner, loss, optimizer
        self.schedule, self.n_epochs = schedule, n_epochs
        self.normaliser = normaliser
        self.direct_optimizer = None if runner.model.W is None else optimizer
        self.learning_rate, self.rate_name = optimizer.learning_rate, rate_name

    def rate(self, epochs):
        """The factor of the learning rate after so many epochs, whole ones and a part; None: the terms have learned."""
        if self.n_epochs is None:
            return 1.0
        return self.schedule(epochs / self.n_epochs) if epochs < self.n_epochs else None

    def step(self, rows, target, weight, rng, rate):
        """One step on these rows, with `rate` times the learning rate. Returns the loss from before it."""
        self.optimizer.learning_rate = self.learning_rate * rate
        hidden = None
        if self.loss.follows_model:
            self.loss.follow(self.runner.model)
            hidden = self.runner.hidden(rows)
        options = self.loss.candidates(target, rng, hidden)
        if self.normaliser is not None:
            options["normaliser"] = self.normaliser
        loss = self.runner.step(rows, target, self.optimizer, weight=weight, **options)
        self.loss.observe(target)
        return loss

    def state(self):
        """What it keeps from step to step beside the model, for checkpoints; see _state."""
        state = {"loss": self.loss.state()}
        return state if self.normaliser is None else state | {"normaliser": self.normaliser.state()}

    def restore(self, state):
        self.loss.restore(state["loss"])
        if self.normaliser is not None:
            self.normaliser.restore(state["normaliser"])
