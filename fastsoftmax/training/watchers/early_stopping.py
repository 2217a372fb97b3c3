"""Early stopping."""

import numpy as np

from fastsoftmax.training.watchers.base import Watcher


class EarlyStoppingWatcher(Watcher):
    """Stops training when the loss of held-out rows has not fallen for some epochs, and keeps the model of the best epoch.

    Parameters
    ----------
    model : model.model.Model that is trained
    judged : function that returns the model to judge: `model`, or one with the mean of its weights
    validation_loss : function of a model that returns its loss on the held-out rows
    n_iter_no_change : int
    curve : list to which the loss after each epoch is added

    Attributes
    ----------
    best, best_loss : a copy of the best model so far, and its loss
    stale : number of epochs since the best one
    """

    chooses_model = True

    def __init__(self, model, judged, validation_loss, n_iter_no_change, curve):
        self.model, self.judged, self.validation_loss = model, judged, validation_loss
        self.n_iter_no_change, self.curve = n_iter_no_change, curve
        self.best, self.best_loss, self.stale = None, np.inf, 0

    def after_epoch(self, trainer):
        model = self.judged()
        loss = self.validation_loss(model)
        self.curve.append(loss)
        if loss <= self.best_loss:
            self.best, self.best_loss, self.stale = model.copy(), loss, 0
        else:
            self.stale += 1
        trainer.stopped |= self.stale >= self.n_iter_no_change

    def finish(self, trainer):
        if self.best is not None:
            self.model.assign(self.best)

    def state(self):
        best = None if self.best is None else self.best.arrays_in_c_order()
        best_loss = None if self.best is None else float(self.best_loss)
        return {"curve": list(self.curve), "best_loss": best_loss, "stale": self.stale, "best": best}

    def restore(self, state):
        self.curve[:], self.stale = state["curve"], state["stale"]
        if state["best"] is not None:
            self.best, self.best_loss = self.model.copy(), state["best_loss"]
            self.best.set_arrays(state["best"])
