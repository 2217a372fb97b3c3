"""Samplers that users write without the base class."""

import fastsoftmax.validation as v


class Foreign:
    """A user's object with nothing but `draw` and `n_classes`, and for logistic losses `log_expected_counts`, in training."""

    follows_model = False
    depends_on_counts = False
    draws_targets = False
    uses_n_negatives = True
    bytes_per_class = 0
    _n_batches = 0

    def __init__(self, sampler, *, is_logistic):
        self.sampler, self.is_logistic = sampler, is_logistic

    def draw_for(self, n, rng, target, hidden=None):
        class_ids, log_expected = self.sampler.draw(n, rng)
        class_ids = v.check_class_ids("the sampler's class_ids", class_ids, self.sampler.n_classes)
        name, log_expected_targets = "the sampler's log_expected_counts", None
        log_expected = v.check_log_expected_counts(name, log_expected, class_ids.shape, "class_ids")
        if self.is_logistic:
            log_expected_targets = self.sampler.log_expected_counts(target, n)
            log_expected_targets = v.check_log_expected_counts(name, log_expected_targets, target.shape, "target")
        return class_ids, log_expected, log_expected_targets

    def observe(self, target):
        """It learns nothing."""

    def state(self):
        return self.sampler.state()

    def restore(self, state):
        self.sampler.restore(state)
