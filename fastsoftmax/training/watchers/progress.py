"""Progress bars."""

from contextlib import contextmanager

from fastsoftmax.training.watchers.base import Watcher


class Progress(Watcher):
    """A tqdm bar over the rows of all epochs, with a running mean of the loss."""

    matters = False

    def __init__(self, n_rows, n_epochs):
        self.n_rows, self.n_epochs = n_rows, n_epochs
        self.bar = self.loss = None

    def begin(self, trainer):
        from tqdm import tqdm

        n_rows, done = self.n_rows, trainer.epoch * self.n_rows + trainer.position
        common = {"unit": " rows", "unit_scale": True, "mininterval": 0.2, "smoothing": 0.1}
        self.bar = tqdm(total=n_rows * self.n_epochs, initial=done, **common)

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
    from tqdm import tqdm

    with tqdm(total=max_iter, unit=" iterations") as bar:

        def show(iteration, loss, gradient):
            bar.set_postfix_str(f"loss {loss:.6f}, gradient {gradient:.1e}", refresh=False)
            bar.update(iteration - bar.n)

        yield show


@contextmanager
def shown_rows(n_rows, what, verbose, unit="rows"):
    """Yield a function that is given numbers of rows that are done, and shows them in a bar, or nothing if not `verbose`.

    Where there are several passes over the `n_rows` rows, each fills the bar anew. The `unit` may be another than rows.
    """
    if not verbose:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=n_rows, desc=what, unit=f" {unit}", unit_scale=True, mininterval=0.2, leave=False) as bar:
        n_passes = 1

        def show(n):
            nonlocal n_passes
            if bar.n >= n_rows:
                n_passes += 1
                bar.reset()
                bar.set_description_str(f"{what}, pass {n_passes}", refresh=False)
            bar.update(n)

        yield show
