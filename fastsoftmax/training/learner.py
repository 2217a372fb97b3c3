"""A learner trains some terms of a model on one loss. This is what one training step does."""


class Learner:
    """Trains some terms of a model: it steps them along the gradient of their loss.

    Parameters
    ----------
    runner : model.runner.Runner over the training rows
    loss : step_losses.FullLoss or SampledLoss
    rule : optimizers.Rule
    schedule : function of the progress, from 0 to 1, that returns the factor of the learning rate
    n_epochs : int or None
        The epochs over which the progress goes from 0 to 1; after them the terms stay as they are. None: there is no end,
        and no schedule is needed.
    sums : bool
        Whether it steps along the sum of a batch's losses instead of the mean. Most pairs of a row occur in no other row of
        the batch, and should learn as fast as if the row were alone.
    rate_name : the user's name for its learning rate

    Attributes
    ----------
    step_rule : optimizers.Rule of the last step
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
        """The factor of the learning rate after so many epochs (a float); None once the terms learn no more."""
        if self.n_epochs is None:
            return 1.0
        return self.schedule(epochs / self.n_epochs) if epochs < self.n_epochs else None

    def step(self, rows, target, weight, rng, rate):
        """Take one step on these rows with `rate` times the learning rate, and return the mean loss from before it."""
        self.step_rule = self.rule._replace(learning_rate=self.rule.learning_rate * rate)
        hidden = None
        if self.loss.follows_model:
            self.loss.follow(self.runner.model)
            hidden = self.runner.hidden(rows)
        n = len(rows)
        scale = weight if self.sums else weight * (1.0 / n)
        loss = self.runner.step(rows, target, scale, self.step_rule, self.loss.estimate(target, rng, hidden))
        self.loss.observe(target)
        return loss / n if self.sums else loss

    def state(self):
        """What the learner keeps from step to step beside the model, for checkpoints; see files.state_dict."""
        return {"loss": self.loss.state()}

    def restore(self, state):
        self.loss.restore(state["loss"])
