"""The options of a training: the parameters of a SoftmaxClassifier, with an object for each choice given by a name."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from fastsoftmax.losses import LOSSES
from fastsoftmax.objectives import OBJECTIVES
from fastsoftmax.optimizers import OPTIMIZERS
from fastsoftmax.samplers import kind_of
from fastsoftmax.terms import LowRank, SparseTerm
from fastsoftmax.training.schedules import SCHEDULES
from fastsoftmax.validation import (
    check_bool,
    check_choice,
    check_int,
    check_options,
    check_path,
    check_real,
    check_training_params,
    check_writable,
    is_auto,
)

LEARNING_RATE = 0.1  # what "auto" stands for
SPARSE_EPOCHS, EPOCHS = 3, 10  # "auto" epochs of a sparse term alone, which learns no more in further ones; of others
RANKED_EPOCHS = 5  # of others where hard negatives follow, which more epochs do not serve


class EarlyStopping(BaseEstimator):
    """`fit` holds out rows, stops when their loss has not fallen for some epochs, and keeps the weights of the best epoch.

    Parameters
    ----------
    validation_fraction : float in (0, 1)
        The share of the rows that `fit` holds out, unless it is given `X_val` and `y_val`.
    n_iter_no_change : int
        The number of epochs without a lower loss after which training stops.
    """

    def __init__(self, *, validation_fraction=0.1, n_iter_no_change=1):
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def check(self):
        """Raise where a parameter is not what it must be."""
        check_real("EarlyStopping.validation_fraction", self.validation_fraction, above=0, maximum=0.999)
        check_int("EarlyStopping.n_iter_no_change", self.n_iter_no_change, minimum=1)


class Checkpoint(BaseEstimator):
    """A file that `fit` writes the state of its training to, from time to time.

    Parameters
    ----------
    path : path
        The path of the file. Until a checkpoint is complete, the one before takes disk space as well.
    every : float
        The least number of seconds between two checkpoints; with 0, there is one after each step. Each holds the model and
        its optimiser's state.
    """

    def __init__(self, path, *, every=600):
        self.path = path
        self.every = every

    def check(self):
        """Raise where a parameter is not what it must be."""
        check_writable("checkpoint", check_path("checkpoint", self.path))
        check_real("Checkpoint.every", self.every, minimum=0)


class Options(NamedTuple):
    """The parameters of a SoftmaxClassifier, checked; `low_rank` is its `hidden_size`."""

    loss: object  # one of fastsoftmax.losses, or "auto"
    low_rank: LowRank | str | None  # the string is "auto"
    direct: SparseTerm | str | None  # the string is "auto" or "dense"
    optimizer: object  # one of fastsoftmax.optimizers
    learning_rate: float | str
    schedule: object
    average: object
    batch_size: int
    max_iter: int | str
    early_stopping: EarlyStopping | None
    warm_start: bool
    random_state: object
    n_threads: int | None
    verbose: int
    dtype: np.dtype
    working_memory: int
    calibration_fraction: float | str
    class_weight: object
    ignore_label: object
    checkpoint: Checkpoint | None
    weights_dir: object
    objective: object  # one of fastsoftmax.objectives, or "auto"

    @classmethod
    def of(cls, params):
        """The Options for the constructor's parameters, a dict; TypeError or ValueError where one is invalid."""
        names = ("hidden_size" if name == "low_rank" else name for name in cls._fields)
        params = {name: params[name] for name in names}  # a subclass of the classifier may have more
        check_training_params(params, tuple(SCHEDULES))
        params = {name: _plain(value) for name, value in params.items()}
        params["loss"] = check_choice("loss", params["loss"], LOSSES, ("auto",))
        params["objective"] = check_choice("objective", params["objective"], OBJECTIVES, ("auto",))
        params["low_rank"] = _low_rank(params.pop("hidden_size"))
        params["direct"] = check_choice("direct", params["direct"], {"sparse": SparseTerm}, ("auto", "dense", None))
        params["optimizer"] = check_choice("optimizer", params["optimizer"], OPTIMIZERS)
        params["early_stopping"] = _early_stopping(params["early_stopping"])
        params["checkpoint"] = _checkpoint(params["checkpoint"])
        params["dtype"] = np.dtype(params["dtype"])
        options = cls(**params)
        check_options(options)
        if options.given_sampler is not None:
            kind_of(options.given_sampler, name=f"{type(options.loss).__name__}.sampler")
        return options

    def flat(self):
        """All options as a flat dict by the constructor's names.

        An object is represented by the name of its class and by its own parameters, which are named as in scikit-learn. Where
        "auto" always stands for the same number, it is this number.
        """
        flat = {}
        for name, value in self._asdict().items():
            name = "hidden_size" if name == "low_rank" else name
            is_object = isinstance(value, BaseEstimator)
            flat[name] = type(value).__name__ if is_object else value
            if is_object:
                flat |= {f"{name}__{key}": a for key, a in value.get_params(deep=False).items()}
        flat["learning_rate"] = self.rate
        if "loss__gradient_threshold" in flat:
            flat["loss__gradient_threshold"] = self.loss.threshold
        return flat

    @property
    def rate(self):
        """The number that `learning_rate` is or stands for."""
        return LEARNING_RATE if self.learning_rate == "auto" else self.learning_rate

    @property
    def sparse(self):
        """The SparseTerm, or None."""
        return self.direct if isinstance(self.direct, SparseTerm) else None

    @property
    def sparse_term(self):
        """The SparseTerm that there is, or that a sparse term chosen by "auto" has."""
        return self.sparse or SparseTerm()

    @property
    def direct_name(self):
        """What `direct` is called: "auto", "dense", "sparse" or None."""
        return "sparse" if self.sparse else self.direct

    @property
    def hidden_size(self):
        """The size of the low-rank term, "auto", or None where there is no such term."""
        return _plain(self.low_rank.size) if isinstance(self.low_rank, LowRank) else self.low_rank

    @property
    def given_sampler(self):
        """What the user has samplers made of; None where the loss is "auto" or does not sample."""
        return self.loss.sampler if self.loss != "auto" and self.loss.is_sampled else None

    @property
    def n_hidden_features(self):
        """The number of the first columns of X that the low-rank term takes; None: all."""
        return _plain(self.low_rank.n_features) if isinstance(self.low_rank, LowRank) else None

    @property
    def freezes_embedding(self):
        """Whether the embedding does not learn."""
        return isinstance(self.low_rank, LowRank) and self.low_rank.freeze

    @property
    def divides_embedding(self):
        """Whether ranks divide the rows of E, or "auto"."""
        return self.low_rank.divide if isinstance(self.low_rank, LowRank) else "auto"

    @property
    def hidden_scale(self):
        """The norm that the hidden layer of a new model is scaled to, or None."""
        return self.low_rank.scale if isinstance(self.low_rank, LowRank) else None

    def of_size(self, size):
        """The same options, with a low-rank term of this size where its size is "auto"."""
        if self.low_rank == "auto":
            return self._replace(low_rank=LowRank(size))
        if self.low_rank is None or self.low_rank.size != "auto":
            return self
        return self._replace(low_rank=LowRank(**self.low_rank.get_params(deep=False) | {"size": size}))

    def resuming(self, choices):
        """The same options, with the terms of a model that was trained before where they are "auto"."""
        options = self
        if choices.hidden_size is not None:
            options = options.of_size(choices.hidden_size)
        elif options.low_rank == "auto":
            options = options._replace(low_rank=None)
        if options.direct == "auto":
            options = options._replace(direct=SparseTerm() if choices.direct == "sparse" else choices.direct)
        return options

    def loss_named(self, name):
        """The loss of this name: the given object if it has the name, else one with default options."""
        return self.loss if getattr(self.loss, "name", None) == name else LOSSES[name]()

    def n_epochs(self, choices):
        """The number of epochs of `fit` for a model with these Choices."""
        if self.max_iter != "auto":
            return self.max_iter
        if choices.is_sparse_alone:
            return SPARSE_EPOCHS
        return RANKED_EPOCHS if choices.ranks else EPOCHS

    def objective_named(self, name):
        """The objective of this name: the given object if it has the name, else one with default options."""
        return self.objective if getattr(self.objective, "name", None) == name else OBJECTIVES[name]()


class Choices(NamedTuple):
    """The choices that options leave open, as the fitted attributes of a classifier report them."""

    loss: str
    direct: str | None
    hidden_size: int | None
    alpha: float
    class_alpha: float | None
    objective: str | None = None  # None: rows have one label

    @property
    def ranks(self):
        """Whether one-vs-all on hard negatives is the last stage of the training."""
        return self.objective is not None and OBJECTIVES[self.objective].ranks

    @property
    def is_sparse_alone(self):
        """Whether the sparse term is the model's only term."""
        return self.direct == "sparse" and self.hidden_size is None


def _plain(value):
    """NumPy's integers as Python's, with which sizes can be multiplied whatever their number of bits.

    Durations, which NumPy counts among the integers, stay: `ignore_label` may be one.
    """
    return int(value) if isinstance(value, np.integer) and not isinstance(value, np.timedelta64) else value


def _low_rank(hidden_size):
    """A LowRank, None or "auto"."""
    if isinstance(hidden_size, LowRank):
        hidden_size.check()
        return hidden_size
    if hidden_size is None or is_auto(hidden_size):
        return hidden_size
    return LowRank(check_int("hidden_size", hidden_size, minimum=1))


def _early_stopping(early_stopping):
    if isinstance(early_stopping, EarlyStopping):
        early_stopping.check()
        return early_stopping
    return EarlyStopping() if check_bool("early_stopping", early_stopping) else None


def _checkpoint(checkpoint):
    if checkpoint is None:
        return None
    checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    checkpoint.check()
    return checkpoint
