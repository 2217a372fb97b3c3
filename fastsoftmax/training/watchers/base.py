"""The base class of watchers."""


class Watcher:
    """Is called between the steps of a training. Progress bars, early stopping and the like are watchers."""

    chooses_model = False
    """Whether `finish` changes the model. It must change nothing else: EpochTasks calls it after any epoch."""

    matters = True
    """Whether training depends on it, so that checkpoints hold its state."""

    def begin(self, trainer):
        """Called before the first step of a run, which may continue an epoch that was begun before."""

    def before_epoch(self, trainer):
        """Called before the first step of each epoch, or of the rest of an epoch."""

    def after_step(self, trainer, n_rows, loss):
        """Called after each step, on `n_rows` rows; `loss` is their mean loss from before it."""

    def after_epoch(self, trainer):
        """Called after each epoch. It may set `trainer.stopped`."""

    def finish(self, trainer):
        """Called after the last step if nothing was raised. It may change the model; see `chooses_model`."""

    def close(self):
        """Called last, whether or not something was raised."""

    def state(self):
        """What the watcher keeps from one call to the next, for checkpoints; see files.state_dict."""
        return {}

    def restore(self, state):
        """Continue from a `state`. It is called before `begin`."""
