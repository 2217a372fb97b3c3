"""What the ranks of a training send each other, for those who want to know what it costs."""

import time

from fastsoftmax.runtime.progress import say
from fastsoftmax.training.watchers.base import Watcher


class Exchanges(Watcher):
    """Says after each epoch how many bytes a row this rank has sent, and how long it waited for others and for the network.

    ranks : runtime.ranks.Ranks
    """

    matters = False

    def __init__(self, ranks):
        self.ranks, self.n_rows = ranks, 0

    def before_epoch(self, trainer):
        self.n_rows, self.sent, self.seconds = 0, self.ranks.bytes_sent, self.ranks.seconds
        self.start = time.perf_counter()

    def after_step(self, trainer, n_rows, loss):
        self.n_rows += n_rows

    def after_epoch(self, trainer):
        sent, waited = self.ranks.bytes_sent - self.sent, self.ranks.seconds - self.seconds
        text = (
            f"epoch {trainer.epoch}: {sent / self.n_rows:.1f} bytes sent for each row, {waited:.2f} s of "
            f"{time.perf_counter() - self.start:.2f} s in exchanges (rank {self.ranks.rank} of {self.ranks.size})"
        )
        say(text, True)
