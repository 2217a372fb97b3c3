"""Progress bars on terminals and in notebooks; elsewhere, as in log files, a line now and then and one at the end."""

import sys
from contextlib import contextmanager, suppress

from fastsoftmax.training.watchers.base import Watcher

SECONDS = 0.2  # between two states of a bar
LOG_SECONDS = 10.0  # and of lines


class Lines:
    """Standard error as the file of a bar, each of whose states becomes a line. What cannot be written is left out."""

    def write(self, text):
        state = text.strip()
        if state:
            with suppress(
                OSError, ValueError
            ):  # a full disk, a closed file: the training is worth more than its progress
                print(state, file=sys.stderr, flush=True)

    def flush(self):
        pass


def bar(**options):
    """A tqdm bar; where standard error is a log, one of `Lines`."""
    from tqdm import tqdm

    if not is_log():
        return tqdm(**{"mininterval": SECONDS} | options)
    # a `delay`, however short, leaves out the state in which nothing is done yet
    return tqdm(**options | {"file": Lines(), "mininterval": LOG_SECONDS, "delay": 1e-9, "leave": True})


def is_log():
    """Whether standard error is neither a terminal nor a notebook's, whose bars move."""
    return sys.stderr is not None and not sys.stderr.isatty() and "ipykernel" not in sys.modules


class Progress(Watcher):
    """A tqdm bar over the rows of all epochs, with a running mean of the loss."""

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


@contextmanager
def shown_iterations(max_iter, verbose):
    """Yield a function that shows iteration, loss and largest gradient element in a bar, or nothing if not `verbose`."""
    if not verbose:
        yield lambda iteration, loss, gradient: None
        return
    with bar(total=max_iter, unit=" iterations") as shown:

        def show(iteration, loss, gradient):
            shown.set_postfix_str(f"loss {loss:.6f}, gradient {gradient:.1e}", refresh=False)
            shown.update(iteration - shown.n)

        yield show


@contextmanager
def shown_rows(n_rows, what, verbose):
    """Yield a function that is given numbers of rows that are done, and shows them in a bar, or nothing if not `verbose`.

    Where there are several passes over the `n_rows` rows, each fills the bar anew; in a log their rows are added up.
    """
    if not verbose:
        yield lambda n: None
        return
    with bar(total=n_rows, desc=what, unit=" rows", unit_scale=True, leave=False) as shown:
        n_passes = 1

        def show(n):
            nonlocal n_passes
            if shown.n >= shown.total:
                n_passes += 1
                shown.set_description_str(f"{what}, pass {n_passes}", refresh=False)
                if shown.leave:
                    shown.total += n_rows
                else:
                    shown.reset()
            shown.update(n)

        yield show
