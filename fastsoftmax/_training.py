"""The training loop: epochs of mini-batches in random order, full softmax or sampled losses, with a progress bar."""

import numpy as np

from fastsoftmax import _head
from fastsoftmax.sampled import Candidates


class FullSoftmax:
    """Every class takes part in every step; `gradient_threshold` as for linear_cross_entropy."""

    def __init__(self, gradient_threshold=0.0):
        self.gradient_threshold = gradient_threshold

    follows_model = False

    def candidates(self, target, rng, hidden=None):
        """What `Runner.step` takes beside rows, targets and weights."""
        if not self.gradient_threshold:
            return {}
        return {"rounding": _head.Rounding(self.gradient_threshold, _head.draw_row_keys(rng, len(target)))}

    def observe(self, target):
        """What was just trained on: it makes no difference to later steps."""


class Sampled:
    """The targets of a batch and classes drawn for it take part; see `sampled.Candidates`.

    Parameters
    ----------
    sampler : fastsoftmax.samplers.Sampler
    n_negatives : int
    loss : one of sampled.LOSSES
        "negative_sampling" is "sampled_logistic": word2vec's bias is the model's less the log expected count, which changes
        no other gradient, and the model's own logits are those of probabilities.
    """

    def __init__(self, sampler, n_negatives, loss="sampled_softmax"):
        self.sampler, self.n_negatives, self.loss = sampler, n_negatives, loss
        self.follows_model = sampler.follows_model

    def candidates(self, target, rng, hidden=None):
        class_ids, log_expected, log_expected_targets = self.sampler.draw_for(self.n_negatives, rng, target, hidden)
        # where a batch's own targets are negatives, a row's is none of its draws: only what other rows have counts
        n_own = self.sampler._n_batches if len(target) > 1 else 0
        loss = "sampled_logistic" if self.loss == "negative_sampling" else self.loss
        candidates = Candidates(target, class_ids, log_expected, loss=loss)
        if candidates.weight is not None:
            candidates.n_own, candidates.target_shift = n_own, -log_expected_targets
        return {"candidates": candidates}

    def follow(self, model):
        """Tell the sampler the weights that it is to follow."""
        self.sampler.follow(model.W if model.V is None else model.V, model.bias)

    def observe(self, target):
        self.sampler.observe(target)


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


class Part:
    """Terms of a model that train on a loss of their own.

    Parameters
    ----------
    runner : _runner.Runner over the training rows
    loss : FullSoftmax or Sampled
    optimizer : SGD or Adagrad
    n_epochs : int or None
        The learning rate falls linearly to zero over so many epochs, then the terms stay; None: it does not fall.
    rate_name : what the user knows its learning rate as
    normaliser : RunningNormaliser of sampled softmax, or None
    """

    def __init__(self, runner, loss, optimizer, n_epochs=None, rate_name="learning_rate", normaliser=None):
        self.runner, self.loss, self.optimizer, self.n_epochs = runner, loss, optimizer, n_epochs
        self.normaliser = normaliser
        self.learning_rate, self.rate_name = optimizer.learning_rate, rate_name

    def step(self, rows, target, weight, rng, rate):
        """One step on these rows, with `rate` times the learning rate. Returns the loss from before it."""
        self.optimizer.learning_rate = self.learning_rate * rate
        hidden = None
        if self.loss.follows_model:
            self.loss.follow(self.runner.model)
            hidden = self.runner.hidden(rows)
        options = self.loss.candidates(target, rng, hidden)
        if self.normaliser is not None:
            options["normaliser"] = self.normaliser
        loss = self.runner.step(rows, target, self.optimizer, weight=weight, **options)
        self.loss.observe(target)
        return loss


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
