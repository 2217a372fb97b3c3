"""The L1 penalty on the direct term: weights that the data do not support become exactly zero.

It takes the proximal step of composite mirror descent (Duchi, Shalev-Shwartz, Singer and Tewari 2010) for the penalty
l1_alpha * sum |w|: after a gradient step, each weight moves towards zero by at most learning_rate * l1_alpha over what its
gradient was divided by. Done at each step, that would read all weights, although a step touches few of them. So the shrinkage
of several steps is added up and done at once, as with truncated gradients (Langford, Li and Zhang 2009).
"""

import numpy as np

from fastsoftmax.training.watchers.base import Watcher

EVERY = 32  # steps between two shrinkages
CHUNK = 1 << 15  # numbers that are read at a time, which stay in a second-level cache


class L1(Watcher):
    """Shrinks the weights of the direct term, dense or sparse.

    Parameters
    ----------
    l1_alpha : float
        The strength of the penalty relative to the mean of the rows' losses, even where the steps go along their sum.

    Attributes
    ----------
    pending : float, the shrinkage that is not done yet, before it is divided by the rule's divisor
    """

    def __init__(self, l1_alpha):
        self.l1_alpha, self.pending = l1_alpha, 0.0

    def after_step(self, trainer, n_rows, loss):
        learner = next((learner for learner in trainer.learners if learner.has_direct), None)
        if learner is None:
            return
        if learner.rate((trainer.steps_done - 1) / trainer.steps_per_epoch) is not None:  # it made this step
            self.pending += float(learner.step_rule.learning_rate * self.l1_alpha * (n_rows if learner.sums else 1))
        ends = trainer.position == len(trainer.order)
        if self.pending and (ends or trainer.steps_done % EVERY == 0):
            model = learner.runner.model
            shrink(model.W, self.pending, model.state.get("W"), learner.rule)
            self.pending = 0.0

    def state(self):
        return {"pending": float(self.pending)}

    def restore(self, state):
        self.pending = state["pending"]


def shrink(w, amount, state, rule):
    """Move the array `w` in place towards zero, by at most `amount` over what `rule` divides gradients by."""
    w = w.ravel(order="K")  # a view
    state = None if state is None else state.ravel(order="K")
    for start in range(0, len(w), CHUNK):
        chunk = slice(start, start + CHUNK)
        bound = amount / rule.divisor(None if state is None else state[chunk])
        w[chunk] -= np.clip(w[chunk], -bound, bound)
