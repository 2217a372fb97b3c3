"""The training loop: epochs of mini-batches in random order, full or sampled softmax, with a progress bar."""

import numpy as np

from fastsoftmax import _head
from fastsoftmax import _validation as v
from fastsoftmax.sampled import Candidates


class FullSoftmax:
    """Every class takes part in every step; `gradient_threshold` as for linear_cross_entropy."""

    def __init__(self, gradient_threshold=0.0):
        self.gradient_threshold = gradient_threshold

    def candidates(self, target, rng):
        if not self.gradient_threshold:
            return {}, target
        return {"rounding": _head.Rounding(self.gradient_threshold, _head.draw_row_keys(rng, len(target)))}, target


class SampledSoftmax:
    """The targets of a batch and `n_negatives` classes drawn for it take part; see `sampled.Candidates`."""

    def __init__(self, sampler, n_negatives):
        self.sampler, self.n_negatives = sampler, n_negatives

    def candidates(self, target, rng):
        class_ids, log_expected_counts = self.sampler.draw(self.n_negatives, rng)
        class_ids = v.check_class_ids("the sampler's class_ids", class_ids, self.sampler.n_classes)
        log_expected_counts = v.check_log_expected_counts(
            "the sampler's log_expected_counts", log_expected_counts, class_ids, "class_ids"
        )
        candidates = Candidates(target, class_ids, log_expected_counts)
        return {"class_ids": candidates.class_ids, "offset": candidates.offset}, candidates.target


class Part:
    """Terms of a model that train on a loss of their own.

    Parameters
    ----------
    runner : _runner.Runner over the training rows
    loss : FullSoftmax or SampledSoftmax
    optimizer : SGD or Adagrad
    n_epochs : int or None
        The learning rate falls linearly to zero over so many epochs, then the terms stay; None: it does not fall.
    rate_name : what the user knows its learning rate as
    """

    def __init__(self, runner, loss, optimizer, n_epochs=None, rate_name="learning_rate"):
        self.runner, self.loss, self.optimizer, self.n_epochs = runner, loss, optimizer, n_epochs
        self.learning_rate, self.rate_name = optimizer.learning_rate, rate_name

    def step(self, rows, target, weight, rng, rate):
        """One step on these rows, with `rate` times the learning rate. Returns the loss from before it."""
        self.optimizer.learning_rate = self.learning_rate * rate
        candidates, target = self.loss.candidates(target, rng)
        return self.runner.step(rows, target, self.optimizer, weight=weight, **candidates)


class Trainer:
    """Steps a model through epochs.

    Parameters
    ----------
    parts : list of Part, over the same rows
    target : (n_samples,) int64 class codes
    weight : (n_samples,) float64, of mean 1
    batch_size : int
    rng : numpy Generator
    """

    def __init__(self, parts, target, weight, *, batch_size, rng):
        self.parts, self.target, self.weight = parts, target, weight
        self.batch_size, self.rng = batch_size, rng
        self.steps_per_epoch, self.steps_done = -(-len(target) // batch_size), 0

    def epoch(self, progress):
        """One pass over all rows in random order. Returns the mean loss."""
        order = self.rng.permutation(len(self.target))
        total = 0.0
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            loss = self._step(rows)
            total += loss * len(rows)
            progress.update(len(rows), loss)
        return float(total / len(order))

    def _step(self, rows):
        """The mean of the losses of the parts that still learn."""
        losses = []
        for part in self.parts:
            rate = 1.0 if part.n_epochs is None else 1 - self.steps_done / (part.n_epochs * self.steps_per_epoch)
            if rate > 0:
                losses.append(part.step(rows, self.target[rows], self.weight[rows], self.rng, rate))
        self.steps_done += 1
        loss = sum(losses) / len(losses)
        if not np.isfinite(loss):
            raise FloatingPointError(self._diverged(f"the loss became {loss}"))
        return loss

    def check_finite(self):
        """FloatingPointError where the last steps, whose effect no loss has shown yet, left infinities or NaN.

        It reads the whole model: once after training, not after each step.
        """
        if not all(part.runner.model.is_finite() for part in self.parts):
            raise FloatingPointError(self._diverged("weights or squared gradients became infinite or NaN"))

    def _diverged(self, what):
        rates = " and ".join(f"{part.rate_name} (now {part.learning_rate})" for part in self.parts)
        return (
            f"{what}: training diverged; lower {rates}, scale the rows of X "
            "(sklearn.preprocessing.normalize), or raise alpha"
        )


class Progress:
    """A tqdm bar over rows of all epochs, with a running mean of the loss; silent where `verbose` is 0."""

    def __init__(self, n_rows, n_epochs, verbose):
        self.bar, self.loss = None, None
        if verbose:
            from tqdm import tqdm

            self.bar = tqdm(total=n_rows * n_epochs, unit=" rows", unit_scale=True, mininterval=0.2, smoothing=0.1)

    def update(self, n_rows, loss):
        if self.bar is not None:
            self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
            self.bar.set_postfix_str(f"loss {self.loss:.3f}", refresh=False)
            self.bar.update(n_rows)

    def describe(self, text):
        if self.bar is not None:
            self.bar.set_description_str(text, refresh=False)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.bar is not None:
            self.bar.close()
