"""Samplers that users write without the base class."""

from fastsoftmax.samplers.base import NegativeSource
from fastsoftmax.validation import check_class_ids, check_log_expected_counts


class Foreign(NegativeSource):
    """The negatives of a user's object that has only `draw` and `n_classes`, and `log_expected_counts` for logistic losses.

    What it returns is checked at every draw, since nothing else vouches for it.
    """

    def __init__(self, sampler, *, is_logistic):
        self.sampler, self.is_logistic = sampler, is_logistic

    def draw_for(self, n, rng, target, hidden=None):
        class_ids, log_expected = self.sampler.draw(n, rng)
        class_ids = check_class_ids("the sampler's class_ids", class_ids, self.sampler.n_classes)
        name, log_expected_targets = "the sampler's log_expected_counts", None
        log_expected = check_log_expected_counts(name, log_expected, class_ids.shape, "class_ids")
        if self.is_logistic:
            log_expected_targets = self.sampler.log_expected_counts(target, n)
            log_expected_targets = check_log_expected_counts(name, log_expected_targets, target.shape, "target")
        return class_ids, log_expected, log_expected_targets

    def state(self):
        return self.sampler.state()

    def restore(self, state):
        self.sampler.restore(state)
