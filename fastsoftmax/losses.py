"""The losses that a SoftmaxClassifier trains on, with their options.

`fastsoftmax.sampled_cross_entropy` defines those by candidate sampling, and docs/sampling_measured.md compares them.
"""

from sklearn.base import BaseEstimator

from fastsoftmax.validation import (
    check_gradient_threshold,
    check_int,
    check_option,
    check_real,
    is_auto,
)

__all__ = [
    "NCE",
    "DecoupledSoftmax",
    "NegativeSampling",
    "OneVsAll",
    "SampledDecoupledSoftmax",
    "SampledLogistic",
    "SampledSoftmax",
    "Softmax",
]


def __dir__():
    return sorted(__all__)  # what tab completion shows


GRADIENT_THRESHOLD = 3e-4  # what "auto" stands for
LABELS = ("one", "mean", "sum")  # how the labels of a row take part; see Softmax


class _Labelled:
    """What losses have that take a row's labels in different ways."""

    exact = "softmax"  # the loss that a sparse term learns by, as passes.row_losses calls it

    @property
    def labels_used(self):
        """What `labels` is or stands for."""
        return "mean" if self.labels == "auto" else self.labels

    def check_labels(self):
        """Raise where `labels` is not what it must be."""
        check_option(f"{type(self).__name__}.labels", self.labels, ("auto", *LABELS))


class Softmax(_Labelled, BaseEstimator):
    """The full softmax: every class takes part in every step.

    Parameters
    ----------
    labels : {"auto", "one", "mean", "sum"}
        How the labels of a row that has several take part. "one": a step takes one of them, drawn by mass. "mean": it takes
        all, and the row's loss is the mean of theirs, which "one" has in expectation. "sum": it is the sum of their losses, so
        that rows with more labels count more. A row with one label is the same in all three. "auto" is "mean".
    gradient_threshold : float in [0, 1) or "auto"
        Probabilities below it are rounded in the gradient, at random and without bias, to 0 or to it. A step then skips most
        of its products once the model has learned something; see `linear_cross_entropy`. 0: exact gradients.
        "auto" is 3e-4. Nothing is rounded where a sparse term is the only term, or where there is a dense direct term and X
        is sparse: any other number than 0 is then an error.
    """

    name = "softmax"
    is_sampled = False

    def __init__(self, *, gradient_threshold="auto", labels="auto"):
        self.gradient_threshold = gradient_threshold
        self.labels = labels

    @property
    def threshold(self):
        """The number that `gradient_threshold` is or stands for."""
        return GRADIENT_THRESHOLD if self.gradient_threshold == "auto" else self.gradient_threshold

    def check(self):
        """Raise where a parameter is not what it must be."""
        self.check_labels()
        if not is_auto(self.gradient_threshold):
            check_gradient_threshold(self.gradient_threshold, name="Softmax.gradient_threshold")


class _Sampled(_Labelled, BaseEstimator):
    """What all losses by candidate sampling have: a sampler, and how many negatives it draws for a batch."""

    is_sampled = True
    normaliser_rate = 1.0  # there is no running estimate

    @property
    def trains_as(self):
        """The loss of candidate sampling that a classifier trains by, as sampled_cross_entropy calls it."""
        return self.name

    def __init__(self, sampler="in_batch", *, n_negatives="auto", labels="auto"):
        self.sampler = sampler
        self.n_negatives = n_negatives
        self.labels = labels

    def check(self):
        """Raise where a parameter is not what it must be. The sampler is checked where it is made."""
        self.check_labels()
        if not is_auto(self.n_negatives):
            check_int(f"{type(self).__name__}.n_negatives", self.n_negatives, minimum=1)


class SampledSoftmax(_Sampled):
    """A softmax over the classes of a batch and random negatives. It is as good as the full softmax.

    Parameters
    ----------
    sampler : {"in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"} or a sampler
        Where the negatives come from. An object of `fastsoftmax.samplers` has options; training copies it, since some
        samplers learn. "in_batch": the classes of the batch's other rows, which cost nothing and do as well as any.
        "unigram", "in_batch" and others that use counts take those of training (in `partial_fit`, of all rows so far):
        of the rows that count, whatever their weights, since batches are made of rows.
    n_negatives : int or "auto"
        Negatives drawn for each batch, with replacement, fewer than there are classes. "auto" is 1024, or one fewer than
        there are classes if that is less. "in_batch" draws none, and takes no number.
    labels : {"auto", "one", "mean", "sum"}
        How the labels of a row that has several take part; see `Softmax`.
    normaliser_rate : float in (0, 1] or "auto"
        In `fit`, how far each row's running estimate of the partition function moves in an epoch from its value so far
        to that of the step. With 1, it is that of the step. "auto" is 0.5 from 8,192 classes on, else 1.

    References
    ----------
    Bengio and Senecal 2008, doi:10.1109/TNN.2007.912312; Jean et al. 2015, arXiv:1412.2007. The running estimate of the
    partition function is that of arXiv:2602.02877.
    """

    name = "sampled_softmax"

    def __init__(self, sampler="in_batch", *, n_negatives="auto", normaliser_rate="auto", labels="auto"):
        super().__init__(sampler, n_negatives=n_negatives, labels=labels)
        self.normaliser_rate = normaliser_rate

    def check(self):
        super().check()
        if not is_auto(self.normaliser_rate):
            check_real("SampledSoftmax.normaliser_rate", self.normaliser_rate, above=0, maximum=1)


class NCE(_Sampled):
    """Noise-contrastive estimation: which of the classes is the true one, and which are noise?

    Parameters
    ----------
    sampler : {"in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"} or a sampler
        Where the negatives come from. An object of `fastsoftmax.samplers` has options; training copies it, since some
        samplers learn. "in_batch": the classes of the batch's other rows, which cost nothing and do as well as any.
        "unigram", "in_batch" and others that use counts take those of training (in `partial_fit`, of all rows so far):
        of the rows that count, whatever their weights, since batches are made of rows.
    n_negatives : int or "auto"
        Negatives drawn for each batch, with replacement, fewer than there are classes. "auto" is 1024, or one fewer than
        there are classes if that is less. "in_batch" draws none, and takes no number.
    labels : {"auto", "one", "mean", "sum"}
        How the labels of a row that has several take part; see `Softmax`.

    References
    ----------
    Gutmann and Hyvarinen 2012, Noise-contrastive estimation of unnormalized statistical models, JMLR 13.
    """

    name = "nce"


class SampledLogistic(_Sampled):
    """The sum of one-vs-rest logistic losses, estimated from random negatives.

    Parameters
    ----------
    sampler : {"in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"} or a sampler
        Where the negatives come from. An object of `fastsoftmax.samplers` has options; training copies it, since some
        samplers learn. "in_batch": the classes of the batch's other rows, which cost nothing and do as well as any.
        "unigram", "in_batch" and others that use counts take those of training (in `partial_fit`, of all rows so far):
        of the rows that count, whatever their weights, since batches are made of rows.
    n_negatives : int or "auto"
        Negatives drawn for each batch, with replacement, fewer than there are classes. "auto" is 1024, or one fewer than
        there are classes if that is less. "in_batch" draws none, and takes no number.
    labels : {"auto", "one", "mean", "sum"}
        How the labels of a row that has several take part; see `Softmax`.
    """

    name = "sampled_logistic"


class NegativeSampling(_Sampled):
    """word2vec's loss, with a bias that includes the log expected count.

    In a classifier it is the same as `SampledLogistic`: the logits are log odds, nearly log-probabilities where these are
    small.

    Parameters
    ----------
    sampler : {"in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"} or a sampler
        Where the negatives come from. An object of `fastsoftmax.samplers` has options; training copies it, since some
        samplers learn. "in_batch": the classes of the batch's other rows, which cost nothing and do as well as any.
        "unigram", "in_batch" and others that use counts take those of training (in `partial_fit`, of all rows so far):
        of the rows that count, whatever their weights, since batches are made of rows.
    n_negatives : int or "auto"
        Negatives drawn for each batch, with replacement, fewer than there are classes. "auto" is 1024, or one fewer than
        there are classes if that is less. "in_batch" draws none, and takes no number.
    labels : {"auto", "one", "mean", "sum"}
        How the labels of a row that has several take part; see `Softmax`.

    References
    ----------
    Mikolov et al. 2013, arXiv:1310.4546.
    """

    name = "negative_sampling"
    # the model's bias is word2vec's and the log expected count, which changes no other gradient
    trains_as = "sampled_logistic"


class DecoupledSoftmax(BaseEstimator):
    """A softmax for rows with several labels, in which each label competes with the classes that the row does not have.

    The loss of a row is the sum over its labels y of log(1 + Z e^{-z_y}), where Z is the sum of e^{z_k} over all classes but
    its labels. For rows with one label it is the softmax. All labels of a row take part in each step.

    References
    ----------
    Yeh et al. 2022, arXiv:2110.06848; Gupta et al. 2023, arXiv:2310.10636.
    """

    name, exact, labels_used = "decoupled_softmax", "decoupled", "sum"
    is_sampled = False
    threshold = GRADIENT_THRESHOLD

    def check(self):
        """There are no options."""


class SampledDecoupledSoftmax(_Sampled):
    """`DecoupledSoftmax` with the labels of a batch's other rows, or random classes, in place of all classes.

    A sparse term is exact in any case.

    Parameters
    ----------
    sampler : {"in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"} or a sampler
        Where the negatives come from; see `SampledSoftmax`.
    n_negatives : int or "auto"
        Negatives drawn for each batch; see `SampledSoftmax`.
    """

    name, exact, labels_used = "sampled_decoupled_softmax", "decoupled", "sum"
    trains_as = "sampled_softmax"

    def __init__(self, sampler="in_batch", *, n_negatives="auto"):
        self.sampler = sampler
        self.n_negatives = n_negatives

    def check_labels(self):
        """There is nothing to choose."""


class OneVsAll(BaseEstimator):
    """A binary loss for each class: does the row have it or not? All classes take part in each step.

    Parameters
    ----------
    loss : {"logistic", "squared_hinge"}
        log(1 + e^{-yz}) or max(0, 1 - yz)^2, where y is 1 for the labels of the row and -1 for all other classes.

    See Also
    --------
    SampledLogistic : with ``labels="sum"``, the logistic loss with random negatives.
    fastsoftmax.OneVsAllClassifier : solves the convex problems to their optimum.
    """

    name, labels_used = "one_vs_all", "sum"
    is_sampled = False
    threshold = 0.0  # nothing is rounded

    def __init__(self, loss="logistic"):
        self.loss = loss

    @property
    def exact(self):
        """The loss that a sparse term learns by, too."""
        return self.loss

    def check(self):
        """Raise where the parameter is not what it must be."""
        check_option("OneVsAll.loss", self.loss, ("logistic", "squared_hinge"))


KINDS = (
    Softmax, SampledSoftmax, NCE, SampledLogistic, NegativeSampling, DecoupledSoftmax, SampledDecoupledSoftmax, OneVsAll,
)  # fmt: skip
LOSSES = {kind.name: kind for kind in KINDS}
