"""The losses as a training step takes them: each makes the Estimate of a batch, with new draws every time."""

from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import EXACT, Candidates, Estimate
from fastsoftmax.passes.row_losses import SOFTMAX
from fastsoftmax.passes.row_targets import RowTargets


class FullLoss:
    """Every class takes part in every step.

    gradient_threshold : as for losses.Softmax
    row_loss : row_losses.RowLoss
    """

    follows_model = False

    def __init__(self, gradient_threshold=0.0, row_loss=SOFTMAX):
        self.gradient_threshold, self.row_loss = gradient_threshold, row_loss

    def estimate(self, target, rng, hidden=None):
        """The Estimate for a step on rows with this target, as RowTargets.of takes it."""
        estimate = EXACT if self.row_loss is SOFTMAX else Estimate(loss=self.row_loss)
        if not self.gradient_threshold or self.row_loss.binary >= 0:
            return estimate
        keys = tiles.draw_row_keys(rng, RowTargets.of(target, len(target)).n_rows)
        return estimate._replace(rounding=tiles.Rounding(self.gradient_threshold, keys))

    def observe(self, target):
        """Do nothing: the rows of this step make no difference to the estimates of later ones."""

    def state(self):
        return {}

    def restore(self, state):
        """Do nothing: there is no state."""


class SampledLoss:
    """The targets of a batch and the classes drawn for it take part; see `passes.candidates.Candidates`.

    Parameters
    ----------
    sampler : fastsoftmax.samplers.Sampler
    n_negatives : int
    name : one of passes.candidates.KINDS
    normaliser : RunningNormaliser, or None
    row_loss : row_losses.RowLoss; None: softmax or logistic, as `name` says
    """

    def __init__(self, sampler, n_negatives, name="sampled_softmax", normaliser=None, row_loss=None):
        self.sampler, self.n_negatives, self.normaliser = sampler, n_negatives, normaliser
        self.name, self.row_loss, self.follows_model = name, row_loss, sampler.follows_model

    def estimate(self, target, rng, hidden=None):
        targets = _classes(target)
        class_ids, log_expected, log_expected_targets = self.sampler.draw_for(self.n_negatives, rng, targets, hidden)
        # where a batch's own targets are negatives, a row's own target is not a draw for it: only those of other rows count
        n_own = self.sampler.n_batches if len(targets) > 1 else 0
        candidates = Candidates(targets, class_ids, log_expected, loss=self.name)
        if candidates.weight is not None:
            candidates.n_own, candidates.target_shift = n_own, -log_expected_targets
        return Estimate(candidates, loss=self.row_loss, normaliser=self.normaliser)

    def follow(self, model):
        """Give the sampler the weights that it follows."""
        self.sampler.follow(model.W if model.V is None else model.V, model.bias)

    def observe(self, target):
        self.sampler.observe(_classes(target))

    def state(self):
        state = {"sampler": self.sampler.state()}
        return state if self.normaliser is None else state | {"normaliser": self.normaliser.state()}

    def restore(self, state):
        self.sampler.restore(state["sampler"])
        if self.normaliser is not None:
            self.normaliser.restore(state["normaliser"])


def _classes(target):
    """The classes of all rows, as samplers take them."""
    return RowTargets.of(target, len(target)).codes
