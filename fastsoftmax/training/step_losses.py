"""The losses as a training step takes them: what it estimates by, drawn anew for each batch."""

from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import EXACT, Candidates, Estimate


class FullLoss:
    """Every class takes part in every step.

    gradient_threshold : as of losses.Softmax
    """

    follows_model = False

    def __init__(self, gradient_threshold=0.0):
        self.gradient_threshold = gradient_threshold

    def estimate(self, target, rng, hidden=None):
        """The Estimate of a step on rows of these classes."""
        if not self.gradient_threshold:
            return EXACT
        return Estimate(rounding=tiles.Rounding(self.gradient_threshold, tiles.draw_row_keys(rng, len(target))))

    def observe(self, target):
        """What was just trained on makes no difference to later steps."""

    def state(self):
        return {}

    def restore(self, state):
        """There is nothing to restore."""


class SampledLoss:
    """The targets of a batch and classes drawn for it take part; see `passes.candidates.Candidates`.

    Parameters
    ----------
    sampler : fastsoftmax.samplers.Sampler
    n_negatives : int
    name : one of passes.candidates.KINDS
    normaliser : RunningNormaliser, or None
    """

    def __init__(self, sampler, n_negatives, name="sampled_softmax", normaliser=None):
        self.sampler, self.n_negatives, self.normaliser = sampler, n_negatives, normaliser
        self.name, self.follows_model = name, sampler.follows_model

    def estimate(self, target, rng, hidden=None):
        class_ids, log_expected, log_expected_targets = self.sampler.draw_for(self.n_negatives, rng, target, hidden)
        # where a batch's own targets are negatives, a row's is none of its draws: only what other rows have counts
        n_own = self.sampler.n_batches if len(target) > 1 else 0
        candidates = Candidates(target, class_ids, log_expected, loss=self.name)
        if candidates.weight is not None:
            candidates.n_own, candidates.target_shift = n_own, -log_expected_targets
        return Estimate(candidates, normaliser=self.normaliser)

    def follow(self, model):
        """Tell the sampler the weights that it is to follow."""
        self.sampler.follow(model.W if model.V is None else model.V, model.bias)

    def observe(self, target):
        self.sampler.observe(target)

    def state(self):
        state = {"sampler": self.sampler.state()}
        return state if self.normaliser is None else state | {"normaliser": self.normaliser.state()}

    def restore(self, state):
        self.sampler.restore(state["sampler"])
        if self.normaliser is not None:
            self.normaliser.restore(state["normaliser"])
