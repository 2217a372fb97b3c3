"""The sampler that takes a row's negatives from the rest of its batch."""

import functools

import numpy as np

from fastsoftmax.samplers.alias import AliasSampler, scaled_powers
from fastsoftmax.validation import check_counted, check_counts, check_int


class InBatch(AliasSampler):
    """The targets of a batch's other rows as negatives.

    Their logits are computed anyway. In training (`draw_for`) a row's draws are the classes of the other rows: if rows are
    drawn independently, ``(n_rows - 1) * p_k`` of them are expected to be of class k, where p are the classes' shares of all
    rows. Rows must come in random order. If there are fewer than `least` other rows, classes of random rows are drawn in
    addition. `draw`, `draw_unique` and `probabilities` are those of random rows' classes. The sampler takes 8 bytes a class,
    and 16 more from the first draw on.

    Parameters
    ----------
    counts : array-like of shape (n_classes,), real
        How often each class was seen: finite and non-negative, at least one positive.
    least : int
        The least number of negatives of a row; 0: those of the batch alone.

    Notes
    -----
    ``draw_for(n, rng, target)`` ignores `n` and returns the classes of all rows, and those drawn in addition; a loss has to
    leave out a row's own class (``remove_accidental_hits``). A class that occurs in `target` must have a positive count.

    Batches of an epoch are drawn without replacement, which makes the expected count larger by N / (N - 1) for N rows.

    The correction is that of [1]_. A row's own class y is in the denominator with certainty and is not drawn, so its logit
    must not be corrected; and the gradient of the full softmax loss, (1 - p_y) (E[dz_k | k != y] - dz_y), has the factor
    1 - p_y, which [1]_ puts in front of a loss over the negatives alone, as a constant estimated from them. Sampled
    softmax, log(e^{z_y} + Z) - z_y with Z the sum over the corrected negatives, needs no such weight: its gradient is
    (1 - p_y) (d log Z - dz_y), with p_y = e^{z_y} / (e^{z_y} + Z), which is the same. (Z here is a sum divided by the
    expected number of negatives, in [1]_ by their actual number, leaving out the row's own class.)

    References
    ----------
    .. [1] K. Khrylchenko, V. Baikalov, S. Makeev, A. Matveev and S. Liamaev, "Correcting the LogQ correction: revisiting
       sampled softmax for large-scale retrieval", RecSys 2025. doi:10.1145/3705328.3748033, arXiv:2507.09331
    """

    depends_on_counts = True
    draws_targets = True
    uses_n_negatives = False
    bytes_per_class = 24
    n_batches = 1

    def __init__(self, counts, least=64):
        self.least = check_int("least", least, minimum=0)
        self._set_weights(scaled_powers(check_counts("counts", counts), 1.0))
        self.n_classes = len(self._probabilities)

    def __repr__(self):
        return f"InBatch(<{self.n_classes} counts>, least={self.least})"

    def _propose(self, n, rng, target=None, hidden=None):
        if target is None:
            return super()._propose(n, rng)
        check_counted("target", target, self._probability(target))
        n_others = max(len(target) - 1, 0)
        class_ids, n_drawn = target if n_others else target[:0], max(self.least - n_others, 0)
        if n_drawn:
            class_ids = np.concatenate([class_ids, self._draw(n_drawn, rng)])
        return class_ids, functools.partial(self._expected_counts, n=n_others + n_drawn)
