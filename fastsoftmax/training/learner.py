"""Terms of a model that train on a loss of their own: what one training step does."""

import numpy as np


class Learner:
    """Steps some terms of a model along the gradient of their loss.

    Parameters
    ----------
    runner : model.runner.Runner over the training rows
    loss : step_losses.FullLoss or SampledLoss
    rule : optimizers.Rule
    schedule : function of the progress, from 0 to 1, that gives the factor of the learning rate
    n_epochs : int or None
        Those of the progress; then the terms stay as they are. None: there is no end, and no schedule is needed.
    sums : bool
        Whether it steps along the sum of a batch's losses, not the mean. Most of a row's pairs occur in no other row of the
        batch: they should learn as fast as if the row were alone.
    rate_name : what the user knows its learning rate as

    Attributes
    ----------
    step_rule : the Rule of the last step
    """

    def __init__(self, runner, loss, rule, schedule=None, n_epochs=None, *, sums=False, rate_name="learning_rate"):
        self.runner, self.loss, self.rule, self.sums = runner, loss, rule, sums
        self.schedule, self.n_epochs, self.rate_name = schedule, n_epochs, rate_name
        self.step_rule = rule

    @property
    def has_direct(self):
        """Whether a direct term, dense or sparse, is one of its terms."""
        return self.runner.model.W is not None

    def rate(self, epochs):
        """The factor of the learning rate after so many epochs, whole ones and a part; None: the terms have learned."""
        if self.n_epochs is None:
            return 1.0
        return self.schedule(epochs / self.n_epochs) if epochs < self.n_epochs else None

    def step(self, rows, target, weight, rng, rate):
        """One step on these rows, with `rate` times the learning rate. Returns the mean loss from before it."""
        self.step_rule = self.rule._replace(learning_rate=self.rule.learning_rate * rate)
        hidden = None
        if self.loss.follows_model:
            self.loss.follow(self.runner.model)
            hidden = self.runner.hidden(rows)
        n = len(rows)
        scale = weight if self.sums else np.full(n, 1.0 / n) * weight
        loss = self.runner.step(rows, target, scale, self.step_rule, self.loss.estimate(target, rng, hidden))
        self.loss.observe(target)
        return loss / n if self.sums else loss

    def state(self):
        """What it keeps from step to step beside the model, for checkpoints; see files.state_dict."""
        return {"loss": self.loss.state()}

    def restore(self, state):
        self.loss.restore(state["loss"])
