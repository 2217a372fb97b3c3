"""The terms that the logits of a SoftmaxClassifier are the sum of, with their options.

A dense direct term, ``direct="dense"``, has no options, and so no class here.
"""

import numpy as np
from sklearn.base import BaseEstimator

from fastsoftmax.validation import check_bool, check_int, check_real, is_auto

__all__ = ["LowRank", "SparseTerm"]

MOST_SCALE = 1e4  # at which float32 tells neighbouring logits by a thousandth
SCALE = 9.0  # of normalize=True; docs/training_measured.md has what others do


def __dir__():
    return sorted(__all__)  # what tab completion shows


class SparseTerm(BaseEstimator):
    """A direct term that has weights for pairs only: of each feature and each class that it occurs with in training.

    Alone it is exact over all classes, at a cost that does not grow with their number. Beside a low-rank term it predicts
    best where rows are sparse. docs/exact_on_the_support.md tells how it works, and why it is trained as it is.

    Parameters
    ----------
    learning_rate : float or "auto"
        Steps go along the sum, not the mean, of a batch's gradients. With "auto", a row by itself would move the logit of
        its class by 1.5 log(n_classes). With 0, the weights stay as `fit` was given them.
    min_count : int
        Pairs that occur in fewer rows are left out.
    max_classes_per_feature : int or None
        All pairs of a feature that occurs with more classes are left out too: such features tell little and cost the most.
        In `partial_fit`, a feature that already has more gets no further pairs.
    """

    def __init__(self, *, learning_rate="auto", min_count=1, max_classes_per_feature=1000):
        self.learning_rate = learning_rate
        self.min_count = min_count
        self.max_classes_per_feature = max_classes_per_feature

    @property
    def learns(self):
        """Whether its weights change in training."""
        return self.learning_rate == "auto" or self.learning_rate != 0

    def check(self):
        """Raise where a parameter is not what it must be."""
        if not is_auto(self.learning_rate):
            check_real("SparseTerm.learning_rate", self.learning_rate, minimum=0)
        check_int("SparseTerm.min_count", self.min_count, minimum=1)
        if self.max_classes_per_feature is not None:
            check_int("SparseTerm.max_classes_per_feature", self.max_classes_per_feature, minimum=1)


class LowRank(BaseEstimator):
    """The low-rank term: a hidden layer ``x E`` that all features share, and weights V of each class for it.

    Parameters
    ----------
    size : int or "auto"
        Width of the hidden layer. "auto": that of `embedding_init` where `fit` is given one, else 128.
    n_features : int, optional
        Beside a sparse term, the hidden layer takes only so many of the first columns of X, for example words but not their
        conjunctions, which would make it large. None: all columns.
    freeze : bool
        The embedding E stays as it is: as `fit` is given it, or as it was.
    divide : bool or "auto"
        With several ranks (`comm`), whether each has only its range of the features' rows of E, as of the classes. That sends
        another 4 x size bytes a row (8 x in float64). "auto": where E takes more than 1 GiB with its optimiser's state. It
        counts where a model begins, and where it is loaded; one process has all of E, and so have more ranks than features.
    normalize : bool or float
        Whether the term is ``s (h / |h|) . V_k`` with ``h = x E`` and ``|V_k| = 1``: the scale s, which is one over a
        temperature, times the cosine of the angle between a row's hidden vector and that of a class. A number is the scale,
        True stands for 9. The length of a class's vector can then no longer say how frequent the class is; the bias does. That
        is better for the next item of sessions, and worse for texts by tf-idf; docs/training.md has figures.

    Notes
    -----
    A normalised softmax is NormFace's [1]_; NISER [2]_ brought it to the next item of sessions. The gradient of E goes through
    the normalisation. After each step, the vectors V_k that it changed get their length of 1 back; they start as random unit
    vectors. Penalties that are "auto" are 0, since they would change lengths alone. A hidden vector of zeros stays: such rows
    have the logits of the bias.

    The scale counts where a model begins. Calibration multiplies it by its factor in place of V, and `partial_fit` and
    `warm_start` keep what it is by then. Classes that `add_classes` adds have vectors of zeros until a row steps them.
    `transform` gives hidden vectors of the length that the scale is.

    References
    ----------
    .. [1] F. Wang, X. Xiang, J. Cheng and A. L. Yuille, NormFace: L2 hypersphere embedding for face verification, ACM MM 2017,
       doi:10.1145/3123266.3123359.
    .. [2] P. Gupta, D. Garg, P. Malhotra, L. Vig and G. Shroff, NISER: Normalized item and session representations to handle
       popularity bias, 2019, arXiv:1909.04276.
    """

    normalize = False  # of objects that were pickled by earlier versions

    def __init__(self, size=128, *, n_features=None, freeze=False, divide="auto", normalize=False):
        self.size = size
        self.n_features = n_features
        self.freeze = freeze
        self.divide = divide
        self.normalize = normalize

    @property
    def scale(self):
        """The norm of the hidden layer of a normalised term; None where it is not normalised."""
        if isinstance(self.normalize, (bool, np.bool_)):
            return SCALE if self.normalize else None
        return float(self.normalize)

    def check(self):
        """Raise where a parameter is not what it must be."""
        if not is_auto(self.size):
            check_int("LowRank.size", self.size, minimum=1)
        if self.n_features is not None:
            check_int("LowRank.n_features", self.n_features, minimum=1)
        check_bool("LowRank.freeze", self.freeze)
        if not is_auto(self.divide):
            check_bool("LowRank.divide", self.divide)
        if not isinstance(self.normalize, (bool, np.bool_)):
            check_real("LowRank.normalize", self.normalize, above=0, maximum=MOST_SCALE)
