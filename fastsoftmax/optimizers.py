"""The optimisers of a SoftmaxClassifier, with their penalties, and the rules that they give the kernels.

The learning rate is the classifier's own parameter, `learning_rate`: a schedule changes it for any optimiser.
"""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from fastsoftmax.validation import check_real, is_auto

__all__ = ["SGD", "Adagrad"]


def __dir__():
    return sorted(__all__)  # what tab completion shows


class Rule(NamedTuple):
    """How parameters step along a gradient, as the kernels take it."""

    kind: str  # "sgd" or "adagrad"
    learning_rate: float
    has_state: bool  # whether there is a sum of squared gradients beside the parameters
    epsilon: float = 0.0  # added to the root of that sum
    alpha: float = 0.0  # L2 penalty on the weights that a step touches
    class_alpha: float | None = None  # on the weights V of a row's own class, in place of alpha
    clip_norm: float | None = None

    def divisor(self, state):
        """What a gradient is divided by where the sum of squares is `state`."""
        return 1.0 if self.kind == "sgd" else np.sqrt(state) + np.asarray(self.epsilon, state.dtype)


class _Optimizer(BaseEstimator):
    """What all optimisers have: penalties, and a bound for the gradient of a row."""

    def __init__(self, *, alpha="auto", class_alpha="auto", l1_alpha=0.0, clip_norm=None):
        self.alpha = alpha
        self.class_alpha = class_alpha
        self.l1_alpha = l1_alpha
        self.clip_norm = clip_norm

    def check(self):
        """Raise where a parameter is not what it must be."""
        kind = type(self).__name__
        if not is_auto(self.alpha):
            check_real(f"{kind}.alpha", self.alpha, minimum=0)
        if self.class_alpha is not None and not is_auto(self.class_alpha):
            check_real(f"{kind}.class_alpha", self.class_alpha, minimum=0)
        check_real(f"{kind}.l1_alpha", self.l1_alpha, minimum=0)
        if self.clip_norm is not None:
            check_real(f"{kind}.clip_norm", self.clip_norm, above=0)

    def rule(self, learning_rate, alpha=0.0, class_alpha=None):
        """The Rule of this optimiser, with these penalties where its own are "auto"."""
        return self._rule(learning_rate)._replace(
            alpha=alpha if self.alpha == "auto" else self.alpha,
            class_alpha=class_alpha if self.class_alpha == "auto" else self.class_alpha,
        )


class SGD(_Optimizer):
    """Stochastic gradient descent: ``w -= learning_rate * (g + alpha * w)``.

    Parameters
    ----------
    alpha : float or "auto"
        L2 penalty, ``alpha / 2`` times the squared weights that a step touches; not on the bias or a sparse term.
        "auto": 3e-5 for a low-rank term that `fit` calibrates, else 0.
    class_alpha : float, None or "auto"
        L2 penalty on the class weights V of the low-rank term, ``class_alpha / 2 * ||V_y||^2`` in the loss of each row of
        class y: it is the same whether a step touches all classes or a sample. None: `alpha`, as for all other weights.
        "auto": 2 for each class, 2 n_classes / n_samples a row, where `alpha` is "auto" and `fit` calibrates the term, else
        None.
    l1_alpha : float
        L1 penalty, ``l1_alpha`` times the absolute weights of the direct term, dense or sparse, beside the mean loss. Weights
        that the data do not support become exactly zero, and `prune` removes them. With `alpha` it is an elastic net.
    clip_norm : float, optional
        Bound of the norm of the gradient of each row's loss: no row, however long or however wrong, moves the model further.
        The gradients by the output weights (W, V, bias) and by the embedding E are each bounded by it. None: no bound.
    """

    kind = "sgd"
    has_state = False

    def _rule(self, learning_rate):
        return Rule(self.kind, float(learning_rate), self.has_state, clip_norm=self.clip_norm)

    def damped_rule(self, learning_rate, damping):
        """The Rule of a sparse term: it steps as `Adagrad` does whose sum of squares is and stays `damping`."""
        return self._rule(learning_rate / np.sqrt(damping))


class Adagrad(_Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011): ``s += g**2; w -= learning_rate * g / (sqrt(s) + epsilon)``.

    For the rows of low-rank factors, `s` is one number a row, the sum of the rows' mean squared gradients (as in row-wise
    Adagrad for embeddings): it costs 1/hidden_size of the memory and learns no worse. For the bias and for a direct term
    it is one number an element.

    Parameters
    ----------
    alpha : float or "auto"
        L2 penalty, ``alpha / 2`` times the squared weights that a step touches; not on the bias or a sparse term.
        "auto": 3e-5 for a low-rank term that `fit` calibrates, else 0.
    class_alpha : float, None or "auto"
        L2 penalty on the class weights V of the low-rank term, ``class_alpha / 2 * ||V_y||^2`` in the loss of each row of
        class y: it is the same whether a step touches all classes or a sample. None: `alpha`, as for all other weights.
        "auto": 2 for each class, 2 n_classes / n_samples a row, where `alpha` is "auto" and `fit` calibrates the term, else
        None.
    l1_alpha : float
        L1 penalty, ``l1_alpha`` times the absolute weights of the direct term, dense or sparse, beside the mean loss. Weights
        that the data do not support become exactly zero, and `prune` removes them. With `alpha` it is an elastic net.
    clip_norm : float, optional
        Bound of the norm of the gradient of each row's loss: no row, however long or however wrong, moves the model further.
        The gradients by the output weights (W, V, bias) and by the embedding E are each bounded by it. None: no bound.
    epsilon : float
        It is added to the root, so that a zero gradient divides by something.
    """

    kind = "adagrad"
    has_state = True

    def __init__(self, *, alpha="auto", class_alpha="auto", l1_alpha=0.0, clip_norm=None, epsilon=1e-10):
        super().__init__(alpha=alpha, class_alpha=class_alpha, l1_alpha=l1_alpha, clip_norm=clip_norm)
        self.epsilon = epsilon

    def check(self):
        check_real("Adagrad.epsilon", self.epsilon, above=0)
        super().check()

    def _rule(self, learning_rate):
        return Rule(self.kind, float(learning_rate), self.has_state, self.epsilon, clip_norm=self.clip_norm)

    def damped_rule(self, learning_rate, damping):
        """The Rule of a sparse term, whose sums of squares start at `damping`."""
        return self._rule(learning_rate)


OPTIMIZERS = {"adagrad": Adagrad, "sgd": SGD}
