"""The partition function of each training row, estimated over many steps."""

import numpy as np


class RunningNormaliser:
    """An estimate of log Z for each training row that all its draws so far have a part in.

    exp(log Z) moves towards the estimate of each new step by `rate` of the way, in log space: the mirror descent of SCENT
    (arXiv:2602.02877). In the gradient exp(z - log Z) then stands for the softmax, which varies less from
    draw to draw than that of one step's candidates alone. The first visit takes its own estimate.
    """

    def __init__(self, n_rows, rate):
        self.log_z, self.rate = np.full(n_rows, np.nan), rate

    def update(self, rows, lse):
        """The new log Z of these rows, different ones, after an estimate `lse`."""
        old = self.log_z[rows]
        old = np.where(np.isnan(old), lse, old)
        new = np.logaddexp(np.log1p(-self.rate) + old, np.log(self.rate) + lse)
        self.log_z[rows] = new
        return new

    def state(self):
        return {"log_z": self.log_z}

    def restore(self, state):
        self.log_z[:] = state["log_z"]
