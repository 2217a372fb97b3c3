"""The mean of the weights over the last part of training (Polyak and Juditsky 1992; Izmailov et al. 2018, arXiv:1803.05407).

A sum over all steps would read all weights at each step, although a step of sampled softmax touches few of them. The weights
after a few evenly spaced steps have nearly the same mean, since the weights of neighbouring steps hardly differ.
"""

import numpy as np

from fastsoftmax.model.model import in_c_order
from fastsoftmax.training.watchers.base import Watcher

SHARE = 0.5  # share of the steps that are averaged over where none is given
N_TAKEN = 16  # number of steps whose weights are averaged
CHUNK = 1 << 16  # numbers that are read at a time, which stay in a second-level cache


class Averaging(Watcher):
    """Leaves the model with the mean of its weights over the last steps, and with the optimiser's state of the last step.

    Parameters
    ----------
    model : model.model.Model that is trained
    share : share of the steps to average over, in (0, 1]
    n_epochs : int
        Epochs of the whole training. Where training stops earlier, there may be no mean yet, or a mean of fewer steps.

    Attributes
    ----------
    mean : dict of arrays like the model's parameters; empty before the first weights are taken
    n_taken : number of steps whose weights it is the mean of
    """

    chooses_model = True

    def __init__(self, model, share, n_epochs):
        self.model, self.share, self.n_epochs = model, share, n_epochs
        self.mean, self.n_taken = {}, 0

    def after_step(self, trainer, n_rows, loss):
        if trainer.steps_done in marks(self.n_epochs * trainer.steps_per_epoch, self.share):
            self._take()

    def _take(self):
        self.n_taken += 1
        for name, a in self.model.parameters().items():
            if self.n_taken == 1:
                self.mean[name] = self.model.allocator.copy(a)
            else:
                add_to_mean(self.mean[name], a, self.n_taken)

    def averaged(self):
        """The model as it would be if training ended here; it may share arrays with the model that is trained."""
        if not self.n_taken:
            return self.model
        model, arrays = self.model, dict(self.mean)
        if "W" in arrays:
            zeros = (model.W == 0) & (arrays["W"] != 0)  # an L1 penalty made these zeros
            if zeros.any():
                arrays["W"] = model.allocator.copy(arrays["W"])
                arrays["W"][zeros] = 0
        if model.scale is not None:
            arrays["V"] = model.allocator.copy(arrays["V"])
        averaged = model.like(state=model.state, **arrays)
        averaged.normalise_classes()  # a mean of unit vectors is shorter
        return averaged

    def finish(self, trainer):
        for name, a in self.mean.items():
            trained = getattr(self.model, name)
            # an L1 penalty made the zeros of W, or there never was a gradient
            np.copyto(trained, a, where=trained != 0 if name == "W" else True)
        if self.mean:
            self.model.normalise_classes()

    def state(self):
        return {"n_taken": self.n_taken, "mean": {name: in_c_order(a) for name, a in self.mean.items()}}

    def restore(self, state):
        self.n_taken = state["n_taken"]
        for name, a in state["mean"].items():
            self.mean[name] = self.model.allocator.copy(getattr(self.model, name))
            in_c_order(self.mean[name])[...] = a


def marks(n_steps, share):
    """The numbers of the steps after which weights are taken; they are evenly spaced and include the last step."""
    span = max(1, round(share * n_steps))
    n = min(N_TAKEN, span)
    return range(n_steps - (n - 1) * (span // n), n_steps + 1, span // n)


def add_to_mean(mean, a, n):
    """Update `mean` in place from the mean of n - 1 arrays to the mean of these and `a`, which has the same strides."""
    mean, a = mean.ravel(order="K"), a.ravel(order="K")  # views
    for start in range(0, len(a), CHUNK):
        chunk = slice(start, start + CHUNK)
        difference = a[chunk] - mean[chunk]
        difference /= n
        mean[chunk] += difference
