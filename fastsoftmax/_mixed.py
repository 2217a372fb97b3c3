"""Samplers that put the negatives of a batch together: from its own targets, or from several samplers."""

import functools

import numpy as np

from fastsoftmax import _validation
from fastsoftmax._sampler import Sampler
from fastsoftmax._unigram import AliasSampler, scaled_powers


class InBatch(AliasSampler):
    """The targets of a batch's other rows as negatives.

    Their logits are computed anyway. In training (`draw_for`) each row's draws are the classes of the other rows: of
    class k, if rows are drawn independently, ``(n_rows - 1) * p_k`` are to be expected, p being the classes' shares of
    all rows. Rows must come in random order. Where there are fewer than `least` others, the classes of random rows are drawn
    until there are. `draw`, `draw_unique` and `probabilities` are those of random rows' classes. Takes 8 bytes a class, and
    16 more from the first class drawn on.

    Parameters
    ----------
    counts : array-like of shape (n_classes,), real
        How often each class was seen: finite and non-negative, at least one positive.
    least : int
        Negatives of a row, at least; 0: those of the batch alone.

    Notes
    -----
    ``draw_for(n, rng, target)`` takes no notice of `n` and returns all rows' classes, and those that are drawn; a loss has to
    leave out a row's own class (``remove_accidental_hits``). A class that occurs in `target` must have a positive count.

    In batches of an epoch, drawn without replacement, the expected count is larger by N / (N - 1) for N rows in all.

    The correction is that of [1]_. A row's own class y is in the denominator with certainty, and not drawn, so its logit
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

    _n_batches = 1

    def __init__(self, counts, least=64):
        self.least = _validation.check_int("least", least, minimum=0)
        self._set_weights(scaled_powers(_validation.check_counts("counts", counts), 1.0))
        self.n_classes = len(self._probabilities)

    def __repr__(self):
        return f"InBatch(<{self.n_classes} counts>, least={self.least})"

    def _propose(self, n, rng, target=None, hidden=None):
        if target is None:
            return super()._propose(n, rng)
        _validation.check_counted("target", target, self._probability(target))
        n_others = max(len(target) - 1, 0)
        class_ids, n_drawn = target if n_others else target[:0], max(self.least - n_others, 0)
        if n_drawn:
            class_ids = np.concatenate([class_ids, self._draw(n_drawn, rng)])
        return class_ids, functools.partial(self._expected_counts, n=n_others + n_drawn)


class Mixed(Sampler):
    """A share of the draws from each of several samplers.

    How many of `n` draws come from which sampler is no matter of chance: each gets its share, rounded by the largest
    remainder (equal ones by order), one sampler's draws after the other's. So n_s draws of q_s have the expected counts
    ``sum_s n_s q_s``, exactly, whichever sampler a class was drawn by: the balance heuristic of multiple importance
    sampling [1]_.

    Parameters
    ----------
    samplers : sequence of samplers
        At least one, over the same classes.
    shares : array-like of shape (len(samplers),), optional
        Positive; normalised to a sum of 1. By default all are equal.

    Notes
    -----
    In training (`draw_for`), `InBatch` contributes the whole batch, beside the `n` draws that the others share: the
    logits of its targets are computed anyway, so they come for nothing. `draw` knows no batch, and there it has a share
    like any other.

    Different classes (``unique=True``) are drawn by independent tries from the mixture ``sum_s share_s q_s``, as by any
    sampler; with `InBatch`, `draw_for` cannot do that.

    References
    ----------
    .. [1] E. Veach and L. J. Guibas, "Optimally combining sampling techniques for Monte Carlo rendering", SIGGRAPH 1995.
       doi:10.1145/218380.218498
    """

    def __init__(self, samplers, shares=None):
        self.samplers = _validation.check_samplers("samplers", samplers, Sampler)
        self.shares = _validation.check_shares("shares", shares, len(self.samplers))
        self.n_classes = self.samplers[0].n_classes
        self.follows_model = any(sampler.follows_model for sampler in self.samplers)
        self._n_batches = sum(sampler._n_batches for sampler in self.samplers)
        # Of `draw_for`: the shares of those whose number of draws is not the batch's.
        self._shares_beside_batch = tuple(
            0.0 if isinstance(sampler, InBatch) else share
            for sampler, share in zip(self.samplers, self.shares, strict=True)
        )

    def __repr__(self):
        return f"Mixed({list(self.samplers)}, shares={list(self.shares)})"

    def observe(self, target):
        for sampler in self.samplers:
            sampler.observe(target)

    def follow(self, V, bias):
        for sampler in self.samplers:
            sampler.follow(V, bias)

    def state(self):
        return {str(s): sampler.state() for s, sampler in enumerate(self.samplers)}

    def restore(self, state):
        for sampler, its in zip(self.samplers, state.values(), strict=True):
            sampler.restore(its)

    def probabilities(self):
        return sum(share * sampler.probabilities() for sampler, share in self._parts())

    @property
    def _n_drawable(self):
        if any(sampler._n_drawable == self.n_classes for sampler in self.samplers):
            return self.n_classes
        return np.count_nonzero(self.probabilities())

    def _parts(self):
        return zip(self.samplers, self.shares, strict=True)

    def _propose(self, n, rng, target=None, hidden=None):
        drawn, expected_counts = [], []
        shares = self.shares if target is None else self._shares_beside_batch
        for sampler, n_draws in zip(self.samplers, split(n, shares), strict=True):
            if n_draws or (target is not None and sampler._n_batches):  # the batch itself takes part whatever n is
                class_ids, expected = sampler._propose(n_draws, rng, target, hidden)
                drawn.append(class_ids)
                expected_counts.append(expected)
        return np.concatenate(drawn), lambda class_ids: sum(expected(class_ids) for expected in expected_counts)

    def _expected_counts(self, class_ids, n):
        return sum(
            sampler._expected_counts(class_ids, n_draws)
            for sampler, n_draws in zip(self.samplers, split(n, self.shares), strict=True)
        )

    def _draw(self, n, rng):
        class_ids, which = np.empty(n, np.int64), rng.choice(len(self.samplers), size=n, p=self.shares)
        for s, sampler in enumerate(self.samplers):
            places = np.flatnonzero(which == s)
            if len(places):
                class_ids[places] = sampler._draw(len(places), rng)
        return class_ids

    def _probability(self, class_ids):
        return sum(share * sampler._probability(class_ids) for sampler, share in self._parts())


@functools.lru_cache(maxsize=128)  # it is asked for the same at every step
def split(n, shares):
    """`n` divided in proportion to `shares` by the largest remainder; zeros where all shares are zero."""
    total = sum(shares)
    if not total:
        return (0,) * len(shares)
    quotas = [n * share / total for share in shares]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda s: counts[s] - quotas[s])
    for s in by_remainder[: n - sum(counts)]:
        counts[s] += 1
    return tuple(counts)
