"""Optimisers: a rule for the kernels, and the state beside each array of parameters."""

import fastsoftmax.validation as v


class SGD:
    """Stochastic gradient descent: ``w -= learning_rate * (g + alpha * w)``.

    Parameters
    ----------
    learning_rate : float
    alpha : float
        L2 penalty, ``alpha / 2 * ||w||**2``; not on the bias. It acts on the rows that an update touches.
    class_alpha : float, optional
        For the class weights V of a low-rank term another penalty instead, ``class_alpha / 2 * ||V_y||**2`` in the loss of
        each row of class y: of the same strength whether all classes are touched in a step or a sample of them.
    clip_norm : float, optional
        Bound of the norm of a row's gradient, by the output weights and by the embedding each; see _clipping.
    """

    kind = "sgd"
    has_state = False
    epsilon = 0.0

    def __init__(self, learning_rate=0.1, *, alpha=0.0, class_alpha=None, clip_norm=None):
        self.learning_rate = v.check_real("learning_rate", learning_rate, above=0)
        self.alpha = v.check_real("alpha", alpha, minimum=0)
        self.class_alpha = None if class_alpha is None else v.check_real("class_alpha", class_alpha, minimum=0)
        self.clip_norm = None if clip_norm is None else v.check_real("clip_norm", clip_norm, above=0)


class Adagrad:
    """Adagrad (Duchi, Hazan and Singer 2011): ``s += g**2; w -= learning_rate * g / (sqrt(s) + epsilon)``.

    For the rows of low-rank factors, `s` is one number a row, the sum of the rows' mean squared gradients (as in row-wise
    Adagrad for embeddings): it costs 1/hidden_size of the memory and learns no worse. For the bias and for a direct term
    it is one number an element.

    Parameters
    ----------
    learning_rate : float
    epsilon : float
        Added to the root, so that a zero gradient divides by something.
    alpha : float
        L2 penalty, ``alpha / 2 * ||w||**2``; not on the bias. It acts on the rows that an update touches.
    class_alpha : float, optional
        For the class weights V of a low-rank term another penalty instead, ``class_alpha / 2 * ||V_y||**2`` in the loss of
        each row of class y: of the same strength whether all classes are touched in a step or a sample of them.
    clip_norm : float, optional
        Bound of the norm of a row's gradient, by the output weights and by the embedding each; see _clipping.
    """

    kind = "adagrad"
    has_state = True

    def __init__(self, learning_rate=0.1, *, epsilon=1e-10, alpha=0.0, class_alpha=None, clip_norm=None):
        self.learning_rate = v.check_real("learning_rate", learning_rate, above=0)
        self.epsilon = v.check_real("epsilon", epsilon, above=0)
        self.alpha = v.check_real("alpha", alpha, minimum=0)
        self.class_alpha = None if class_alpha is None else v.check_real("class_alpha", class_alpha, minimum=0)
        self.clip_norm = None if clip_norm is None else v.check_real("clip_norm", clip_norm, above=0)


OPTIMIZERS = {"sgd": SGD, "adagrad": Adagrad}


def make(optimizer, learning_rate, **options):
    """The optimiser named `optimizer`."""
    v.check_option("optimizer", optimizer, tuple(OPTIMIZERS))
    return OPTIMIZERS[optimizer](learning_rate, **options)
