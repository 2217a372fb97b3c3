"""What watches a training."""


class Watcher:
    """Is told how training goes on. Progress bars, early stopping and the like each are one."""

    chooses_model = False
    """Whether `finish` changes the model, and nothing else: EpochTasks calls it after any epoch to see what is left."""

    matters = True
    """Whether training depends on it, so that checkpoints have its state."""

    def begin(self, trainer):
        """Before the first step of a call, which may go on with an epoch that was begun before."""

    def before_epoch(self, trainer):
        """Before the first step of each epoch, or of the rest of one."""

    def after_step(self, trainer, n_rows, loss):
        """After each step, of so many rows; `loss` is from before it."""

    def after_epoch(self, trainer):
        """After each epoch. It may set `trainer.stopped`."""

    def finish(self, trainer):
        """After the last step, where nothing was raised. It may change the model: see `chooses_model`."""

    def close(self):
        """In any case, at last."""

    def state(self):
        """What it keeps from one call to the next, for checkpoints; see _state."""
        return {}

    def restore(self, state):
        """Go on from a `state`, which is told before `begin`."""
