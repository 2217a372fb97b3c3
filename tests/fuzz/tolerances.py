"""How far results may be from float64 truth: rounding errors of the logits, carried through what is computed from them."""

import numpy as np
from fuzz.strategies import dense

ROUNDINGS = 16


class LinearTolerance:
    """Bounds for the errors of linear logits X W^T + bias computed in the dtype of W, and of what follows from them.

    A logit is a sum of n_features + 1 products, so its error is at most about eps times (n_features + 1) times the sum of
    their absolute values.
    """

    def __init__(self, X, W, bias):
        self.X, self.W = np.abs(dense(X)).astype(float), np.abs(dense(W)).astype(float)
        self.eps = np.finfo(dense(W).dtype).eps
        magnitudes = self.X @ self.W.T + (0 if bias is None else np.abs(np.asarray(bias, float)))
        self.logits = (
            ROUNDINGS * self.eps * ((self.W.shape[1] + 4) * magnitudes.max(axis=1, initial=0) + 1)
        )  # of each row

    def gradients(self, row_mass):
        """Of dX, dW and dbias, where row i has the factor row_mass[i]."""
        dlogits = np.minimum(1, 2 * self.logits) * row_mass
        dX = np.outer(dlogits, self.W.sum(axis=0))
        dW = np.broadcast_to(dlogits @ self.X, self.W.shape)
        return dX, dW, dlogits.sum()


def assert_within(ours, truth, tolerance, what=""):
    """Like assert_allclose with an absolute tolerance for each element."""
    ours, truth = np.asarray(ours, float), np.asarray(truth, float)
    assert ours.shape == truth.shape, (what, ours.shape, truth.shape)
    with np.errstate(invalid="ignore"):
        good = (np.abs(ours - truth) <= tolerance) | (ours == truth) | (np.isnan(ours) & np.isnan(truth))
    if not good.all():
        at = np.unravel_index(np.argmin(good), good.shape) if good.ndim else ()
        allowed = np.broadcast_to(tolerance, good.shape)[at]
        raise AssertionError(
            f"{what}{list(map(int, at))}: {ours[at]!r}, truth {truth[at]!r}, allowed error {allowed:.3g}"
        )
