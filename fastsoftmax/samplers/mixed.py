"""A sampler that takes its draws from several others."""

import functools

import numpy as np

from fastsoftmax.samplers.base import Sampler
from fastsoftmax.validation import check_samplers, check_shares


class Mixed(Sampler):
    """A share of the draws from each of several samplers.

    How many of `n` draws come from each sampler is not left to chance: each gets its share, rounded by the largest
    remainder (equal remainders in the order of the samplers), one sampler's draws after another's. So with n_s draws from
    q_s the expected counts are exactly ``sum_s n_s q_s``, whichever sampler drew a class: the balance heuristic of multiple
    importance sampling [1]_.

    Parameters
    ----------
    samplers : sequence of samplers
        At least one, over the same classes.
    shares : array-like of shape (len(samplers),), optional
        Positive; normalised to a sum of 1. By default all are equal.

    Notes
    -----
    In training (`draw_for`), `InBatch` contributes the whole batch in addition to the `n` draws that the others share: the
    logits of the batch's targets are computed anyway, so they cost nothing. `draw` knows no batch, and `InBatch` has a
    share there like any other sampler.

    Different classes (``unique=True``) are drawn by independent tries from the mixture ``sum_s share_s q_s``, as any
    sampler does it; with `InBatch`, `draw_for` cannot do that.

    References
    ----------
    .. [1] E. Veach and L. J. Guibas, "Optimally combining sampling techniques for Monte Carlo rendering", SIGGRAPH 1995.
       doi:10.1145/218380.218498
    """

    def __init__(self, samplers, shares=None):
        self.samplers = check_samplers("samplers", samplers, Sampler)
        self.shares = check_shares("shares", shares, len(self.samplers))
        self.n_classes = self.samplers[0].n_classes
        self.follows_model = any(sampler.follows_model for sampler in self.samplers)
        self.uses_n_negatives = any(sampler.uses_n_negatives for sampler in self.samplers)
        self.n_batches = sum(sampler.n_batches for sampler in self.samplers)
        # In `draw_for`, the n draws are shared by those whose number of draws the caller chooses.
        self._shares_of_batch = tuple(
            share if sampler.uses_n_negatives else 0.0
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
        for sampler, sampler_state in zip(self.samplers, state.values(), strict=True):
            sampler.restore(sampler_state)

    def probabilities(self):
        return sum(share * sampler.probabilities() for sampler, share in self._shared())

    @property
    def _n_drawable(self):
        if any(sampler._n_drawable == self.n_classes for sampler in self.samplers):
            return self.n_classes
        return np.count_nonzero(self.probabilities())

    def _shared(self):
        return zip(self.samplers, self.shares, strict=True)

    def _propose(self, n, rng, target=None, hidden=None):
        drawn, expected_counts = [], []
        shares = self.shares if target is None else self._shares_of_batch
        for sampler, n_draws in zip(self.samplers, split(n, shares), strict=True):
            if n_draws or (target is not None and sampler.n_batches):  # the batch itself takes part whatever n is
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
        return sum(share * sampler._probability(class_ids) for sampler, share in self._shared())


@functools.lru_cache(maxsize=128)  # every step asks for the same
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
