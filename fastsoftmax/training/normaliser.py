"""The partition function Z of each training row, estimated over many steps."""

import numpy as np


class RunningNormaliser:
    """An estimate of log Z for each training row, to which all draws for the row so far contribute.

    Z moves by `rate` of the way towards the estimate of each new step, computed in log space: this is the mirror descent of
    SCENT (arXiv:2602.02877). In the gradient, exp(z - log Z) then takes the place of the softmax. It varies less from draw
    to draw than the softmax over one step's candidates. The first visit of a row takes its own estimate.
    """

    def __init__(self, n_rows, rate):
        self.log_z, self.rate = np.full(n_rows, np.nan), rate

    def update(self, rows, lse):
        """The new log Z of these rows, (n,) all different, after an estimate `lse`, (n,)."""
        old = self.log_z[rows]
        old = np.where(np.isnan(old), lse, old)
        new = np.logaddexp(np.log1p(-self.rate) + old, np.log(self.rate) + lse)
        self.log_z[rows] = new
        return new

    def state(self):
        return {"log_z": self.log_z}

    def restore(self, state):
        self.log_z[:] = state["log_z"]
