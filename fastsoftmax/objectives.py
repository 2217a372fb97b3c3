"""What a SoftmaxClassifier is to be best at where rows have several labels.

docs/several_labels.md tells how each is reached, and what it gives.
"""

from sklearn.base import BaseEstimator

from fastsoftmax.validation import check_int, check_real, is_auto

__all__ = ["Precision", "Recall", "Tail"]


def __dir__():
    return sorted(__all__)  # what tab completion shows


class Recall(BaseEstimator):
    """The labels of a row among its k most probable ones: the softmax as it is trained, which is consistent for this.

    References
    ----------
    Menon et al. 2019, Multilabel reductions: what is my loss optimising?, NeurIPS 32.
    """

    name = "recall"
    ranks = False

    def check(self):
        """There are no options."""


class Precision(BaseEstimator):
    """Labels at the top of the list that the row has. The default for several labels; by name, for one label too.

    After the softmax, each label gets a squared hinge that tells the rows that have it from those that the softmax takes for
    them: its hard negatives; or, where labels are few, from all others. The logits are the sum of the two, a model of the same
    terms.

    Parameters
    ----------
    C : float or "auto"
        Strength of the hinge against its penalty, as in LIBLINEAR for rows of mean squared length 1. "auto": what is best
        for the rows held out to calibrate.
    n_candidates : int or "auto"
        How many labels, the most probable ones that a row does not have, take the row for a hard negative. "auto": 100; up to
        2,000 labels, and where it is little work, all rows that do not have a label are its negatives.
    softmax_share : float or "auto"
        Factor of the softmax's logits in the sum. "auto": 0.05, or 0.005 where all rows are negatives.
    """

    name = "precision"
    ranks = True

    def __init__(self, C="auto", *, n_candidates="auto", softmax_share="auto"):
        self.C = C
        self.n_candidates = n_candidates
        self.softmax_share = softmax_share

    def check(self):
        """Raise where a parameter is not what it must be."""
        kind = type(self).__name__
        if not is_auto(self.C):
            check_real(f"{kind}.C", self.C, above=0)
        if not is_auto(self.n_candidates):
            check_int(f"{kind}.n_candidates", self.n_candidates, minimum=1)
        if not is_auto(self.softmax_share):
            check_real(f"{kind}.softmax_share", self.softmax_share, minimum=0)


class Tail(Precision):
    """Rare labels at the top of the list: as `Precision`, but each label counts by its inverse propensity.

    Parameters
    ----------
    C, n_candidates, softmax_share : as for `Precision`

    References
    ----------
    Jain et al. 2016, doi:10.1145/2939672.2939756.
    """

    name = "tail"


OBJECTIVES = {kind.name: kind for kind in (Precision, Recall, Tail)}
