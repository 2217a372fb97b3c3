"""The progress bar of training."""

from fastsoftmax.runtime.progress import bar
from fastsoftmax.training.watchers.base import Watcher


class Progress(Watcher):
    """A bar over the rows of all epochs, with a running mean of the loss."""

    matters = False

    def __init__(self, n_rows, n_epochs):
        self.n_rows, self.n_epochs = n_rows, n_epochs
        self.bar = self.loss = None

    def begin(self, trainer):
        n_rows, done = self.n_rows, trainer.epoch * self.n_rows + trainer.position
        total = n_rows * self.n_epochs
        self.bar = bar(total=total, initial=done, unit=" rows", unit_scale=True, smoothing=0.1)

    def after_step(self, trainer, n_rows, loss):
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        self.bar.set_description_str(f"epoch {trainer.epoch + 1}/{self.n_epochs}", refresh=False)
        self.bar.set_postfix_str(f"loss {self.loss:.3f}", refresh=False)
        self.bar.update(n_rows)

    def close(self):
        if self.bar is not None:
            self.bar.close()
