"""SoftmaxClassifier: the parameters and methods of softmax models with very many classes, trained by mini-batches."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.metaestimators import available_if

from fastsoftmax.estimators import saving
from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.estimators.fitting import Fitting
from fastsoftmax.model import pruning
from fastsoftmax.runtime import workspaces
from fastsoftmax.training import extending
from fastsoftmax.validation import (
    check_new_classes,
    check_not_compact,
    check_not_ignored,
    check_real,
)

__all__ = ["SoftmaxClassifier"]


def _has_hidden_layer(classifier):
    """Whether it has one or, before `fit`, surely will."""
    model = classifier.__dict__.get("_model")
    if model is not None:
        return model.E is not None
    return not isinstance(classifier.hidden_size, str) and classifier.hidden_size is not None


class SoftmaxClassifier(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, SoftmaxEstimator):
    """Softmax (multinomial logistic) model trained by mini-batches, for many classes and sparse input.

    The logits are ``z_k = bias_k + x . W_k + (x E) . V_k``: a direct term (`direct`), a low-rank term (`hidden_size`) or both.
    Training uses all classes in every step (`loss="softmax"`) or the true classes and random negatives that the rows of a
    batch share (`loss="sampled_softmax"` and others). Predictions and probabilities are always over all classes.

    Names and numbers are shorthand for objects, which have the options of one choice: ``direct="sparse"`` is
    ``direct=SparseTerm()``, ``hidden_size=128`` is ``hidden_size=LowRank(128)``.

    Parameters
    ----------
    loss : {"auto", "softmax", "sampled_softmax", "nce", "sampled_logistic", "negative_sampling"} or of fastsoftmax.losses
        What a low-rank or dense direct term learns by; a sparse one always learns by the exact softmax. All but "softmax"
        sample. "auto": "sampled_softmax" from 8,192 classes on. It is as good as the full softmax, the logistic losses are
        not (docs/candidate_sampling.md). `Softmax`, `SampledSoftmax` and others have the options.
    hidden_size : int, None, "auto" or LowRank
        Size of the low-rank term; None: no such term. "auto": 128 where there is no direct term, else None.
        `fastsoftmax.terms.LowRank` has the options.
    direct : {"dense", "sparse", None, "auto"} or SparseTerm
        "dense": a weight for each (class, feature). "sparse": for each such pair that occurs together in training; alone it
        is exact over all classes at a cost that does not grow with their number, with a low-rank term it predicts best
        where rows are sparse; `fastsoftmax.terms.SparseTerm` has the options. None: no such term. "auto": "dense" where
        `hidden_size` is None; where it is "auto" too, "dense" if that takes less memory than a low-rank term of size 128,
        or if X is dense and half of the memory is enough for it; else None.
    optimizer : {"adagrad", "sgd"} or of fastsoftmax.optimizers
        `Adagrad` and `SGD` have the penalties (L2, L1) and a bound for the gradient of a row.
    learning_rate : float
        0.1 suits the low-rank term; a dense direct term alone, on sparse rows of unit length, learns faster with 0.3 to 1.
        The sparse term has its own.
    schedule : {"auto", "trapezoidal", "linear", "constant", "cosine"} or function
        How the learning rate changes in `fit` over all steps of `max_iter` epochs. "trapezoidal" stays for 70 % of the steps,
        then falls to zero; "linear" falls all the time; "cosine" as a cosine does (docs/training.md compares them). "auto":
        "linear" for a sparse term, else "trapezoidal". A function gets the progress, from 0 to below 1, and returns the
        factor of the learning rate. `partial_fit` knows no end: its rate stays.
    average : bool or float in (0, 1]
        `fit` ends with the mean of the weights over the last half of the steps, or over that share of them. With early
        stopping it is the mean that is judged, as soon as there is one.
    batch_size : int
    max_iter : int or "auto"
        Epochs. "auto": 3 for a sparse term alone, which learns no more in further ones, else 10. Beside a low-rank term, a
        sparse one learns in the first 3 only.
    early_stopping : bool or EarlyStopping
        Hold out a tenth of the rows, stop when their loss has not fallen for an epoch, and keep the weights of the best
        epoch. `fastsoftmax.estimators.EarlyStopping` has the options.
    warm_start : bool
        `fit` resumes the training of the model so far, for `max_iter` further epochs with a schedule of their own. Classes,
        features and terms must be the same. With a `random_state` that is an int, the rows held out are the same again, too.
    random_state : int, numpy random generator or None
        Initial weights, order of rows, negatives. The same seed gives the same model to the bit for any `n_threads`.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.
    verbose : int
        1 prints what "auto" chose and shows a progress bar with loss, rows per second and time left.
    dtype : {"float32", "float64"}
        Of the weights and of all computation.
    working_memory : int
        Bytes for probabilities kept within a step.
    calibration_fraction : float in [0, 0.5] or "auto"
        Of the rows, at most 2,000, that `fit` holds out from training to find the factors by which bias, sparse and low-rank
        term are multiplied in the end. "auto": 0.03, without a dense direct term. With early stopping the rows held out for
        that serve. Nothing is calibrated on fewer than 30 rows.
    class_weight : dict, "balanced" or None
        Weights of classes by label, 1 for those that it does not name: factors of the rows' weights, also where they are
        calibrated or held out. "balanced": such that all classes count alike, by n_samples / (n_classes * count); not in
        `partial_fit`. The starting bias is that of the weighted counts.
    ignore_label : label, optional
        Rows with this label do not count, as if they were not there, in `fit`, `partial_fit`, `calibrate` and `score`; it is
        no class. nan stands for all labels that are missing: None, NaN, NaT, pandas.NA. None: all rows count.
    checkpoint : path or Checkpoint, optional
        A file that `fit` writes the state of its training to, every ten minutes. Killed and called again with the same
        parameters and data, it resumes there and ends in the very model it would have become; `n_threads`, `verbose` and
        where things are stored may differ. A file of anything else, or a damaged one, is a ValueError. The file is removed
        when `fit` returns; Ctrl-C leaves the last one. `save` is the checkpoint of `partial_fit`.
        `fastsoftmax.estimators.Checkpoint` has the options.
    weights_dir : path of a folder, optional
        The weights and the optimiser's state lie in memory-mapped files there, for models larger than memory. The files
        have no name: the space is allocated at the start, and free again when the model, or the process, is gone. `save`
        keeps the model; pickling reads it into memory. docs/large_models.md has more.

    Attributes
    ----------
    classes_ : (n_classes,) array of the labels, sorted; in the order of their first appearance where they have none
    coef_ : (n_classes, n_features) array, sparse for direct="sparse", the direct term's weights; absent without one
    intercept_ : (n_classes,) array
    embedding_ : (n_features, hidden_size) array E; absent without a low-rank term
    hidden_coef_ : (n_classes, hidden_size) array V; absent without a low-rank term
    loss_, direct_, hidden_size_, alpha_, class_alpha_ : what was used
    calibration_ : dict of str to float, the factors that "bias", "W" and "V" were last multiplied by, and that "prior", the
        bias that a sparse term learned beside, was added with; empty where nothing was calibrated
    loss_curve_ : list of float, mean training loss of each epoch; of terms that train by themselves the mean
    validation_curve_ : list of float, mean loss of the held-out rows, with early stopping
    n_iter_ : int, epochs done
    n_features_in_ : int
    feature_names_in_ : (n_features,) array of the names of a DataFrame's columns; absent where these are not all strings

    Notes
    -----
    Sampled losses subtract log(expected count) from the logits of the negatives (Bengio and Senecal 2008; Jean et al.
    2015), merge repeated draws, and, but for "nce", never take a row's own class as its negative. The progress bar shows the
    sampled loss.
    docs/scikit_learn.md tells what of scikit-learn it works with: `set_callbacks` (each epoch of `fit` is a task), metadata
    routing, `set_output` of `transform`.
    Adagrad keeps one accumulator a row of E and V and one an element of W and the bias. The bias starts at the log class
    frequencies and is trained. Where a sparse term is the only one, it is not: it stays at half of them (of the first
    call of `partial_fit`) until it is calibrated. docs/exact_on_the_support.md tells how direct="sparse" works and why it is
    trained as it is.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from fastsoftmax import SoftmaxClassifier
    >>> X, y = sp.eye(4, format="csr"), ["a", "b", "c", "a"]
    >>> SoftmaxClassifier(random_state=0).fit(X, y).predict(X).tolist()
    ['a', 'b', 'c', 'a']
    """

    def __init__(
        self,
        loss="auto",
        hidden_size="auto",
        direct="auto",
        optimizer="adagrad",
        learning_rate=0.1,
        schedule="auto",
        average=False,
        batch_size=256,
        max_iter="auto",
        early_stopping=False,
        warm_start=False,
        random_state=None,
        n_threads=None,
        verbose=0,
        dtype="float32",
        working_memory=workspaces.WORKING_MEMORY,
        calibration_fraction="auto",
        class_weight=None,
        ignore_label=None,
        checkpoint=None,
        weights_dir=None,
    ):
        self.loss = loss
        self.hidden_size = hidden_size
        self.direct = direct
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.average = average
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose
        self.dtype = dtype
        self.working_memory = working_memory
        self.calibration_fraction = calibration_fraction
        self.class_weight = class_weight
        self.ignore_label = ignore_label
        self.checkpoint = checkpoint
        self.weights_dir = weights_dir

    # -- training --

    def fit(
        self, X, y, sample_weight=None, *, coef_init=None, intercept_init=None, embedding_init=None, X_val=None, y_val=None,
        sample_weight_val=None,
    ):  # fmt: skip
        """Train from scratch, or with `warm_start` resume.

        Interrupting it (Ctrl-C) leaves a usable model of what was learned so far.

        Parameters
        ----------
        X : (n_samples, n_features) scipy.sparse matrix or array
        y : (n_samples,) array of labels, or (n_samples, n_classes) scipy.sparse matrix or array of masses
            Integers, strings, bools, bytes, dates, or any hashable objects. Or, with several classes a row, an indicator or
            masses that are not negative: the classes are 0, 1, 2, ..., and each row's masses are normalised to a sum of 1
            (`sample_weight=Y.sum(axis=1)` undoes that). Training draws a class of the row at each visit by its masses,
            which is the mean of the classes' losses by mass, as calibration and validation are. Rows without any mass do
            not count. docs/labels_and_streams.md has more.
        sample_weight : (n_samples,) array, optional
            Weights of the rows' losses, not negative; only their ratios matter.
        coef_init : (n_classes, n_features) scipy.sparse matrix, optional
            With a sparse term: the pairs that have weights, and where these begin, as `NGramFeatures.kneser_ney` makes them;
            with ``SparseTerm(learning_rate=0)`` they stay there. `min_count` and `max_classes_per_feature` do not apply.
            Rows that these weights were made from cannot calibrate them: "auto" holds none out, `calibrate` takes others. It
            has to, where there is a low-rank term too. Weights from counts of the rows get worse by training on them.
        intercept_init : (n_classes,) array, optional
            With `coef_init`: the bias that belongs to it.
        embedding_init : (n_features, hidden_size) array, optional
            Where the embedding E of the low-rank term begins, for example at word vectors trained elsewhere; of the first
            features alone where LowRank.n_features is set. ``hidden_size="auto"`` is its width.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            With early stopping, rows to judge by, in place of a part of X. All their labels must be in y.

        Returns
        -------
        self
        """
        initial_weights = {"coef_init": coef_init, "intercept_init": intercept_init, "embedding_init": embedding_init}
        checkpoint = self._fit(X, y, sample_weight, initial_weights, (X_val, y_val, sample_weight_val))
        if checkpoint is not None:
            checkpoint.remove()
        return self

    @with_callbacks
    def _fit(self, *args):
        """As `Fitting.fit`."""
        return Fitting(self).fit(*args)

    def partial_fit(self, X, y, classes=None, sample_weight=None, *, n_classes=None, class_counts=None):
        """One epoch on (X, y), going on from the model so far.

        A sparse term adds the pairs of these rows, with `min_count` for them alone. Samplers draw by the counts of all rows
        so far. Calibrate when the stream is at its end: further training undoes it, and may leave the model worse than
        before. What `fit` does beside that, and how to have it here, is told in docs/labels_and_streams.md.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            Masses of classes have a column for each of `classes_`.
        classes : array of all labels there will be, until `add_classes`; it or `n_classes` is needed by the first call
        n_classes : int
            The labels are 0 to n_classes - 1. This, `classes` and `class_counts` are ignored by later calls.
        class_counts : (n_classes,) array, optional
            How often each class, in ascending order, occurs in rows like those to come, where that is known: the starting
            bias and samplers begin with it, and the counts of the rows are added.

        Returns
        -------
        self
        """
        Fitting(self).partial_fit(X, y, classes, sample_weight, n_classes, class_counts)
        return self

    def calibrate(self, X, y, sample_weight=None):
        """Multiply bias, sparse and low-rank term by the factors that suit these rows best.

        `fit` does it by itself with rows that it holds out; see `calibration_fraction`.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            Rows that the model was not trained on: at least 30, some thousand are enough.

        Returns
        -------
        self
        """
        self._fitted_model()
        Fitting(self).calibrate(X, y, sample_weight)
        return self

    # -- changes without rows --

    def add_classes(self, labels):
        """Add new classes, for `partial_fit` to learn.

        They begin as classes without examples would have: with weights of zero, the starting bias of a class not seen, and
        a new state of the optimiser. All other classes keep their weights, so their logits stay what they are. `classes_`
        stays in ascending order, so the numbers of classes behind a new one change. A sampler that is given by its name is
        made anew by the next training; another has to be set, over all classes.

        Parameters
        ----------
        labels : array of labels, of the kind that the model has
            None of them is a class already; those given twice count once.

        Returns
        -------
        self
        """
        self._fitted_model()
        classes, at = check_new_classes(labels, self.classes_)
        check_not_ignored("labels", classes, self.ignore_label)
        extending.add_classes(self._model, self._state, len(classes), at)
        self.classes_ = classes
        return self

    def prune(self, threshold=0.0):
        """Take direct weights of an absolute value of `threshold` or less out of the model, which gets smaller and faster.

        A dense direct term becomes a sparse one: predictions then cost what a row's own weights do. They are the same as
        before where only zeros are taken out (`l1_alpha` makes such). After ``set_params(direct="sparse")``, training goes on
        from there with the rules of sparse terms; where there is a low-rank term as well, the model can only predict.

        Returns
        -------
        self
        """
        check_not_compact(self._fitted_model(), "prune")
        self._weights("W")
        pruning.prune(self._model, check_real("threshold", threshold, minimum=0))
        if self.direct_ == "dense":
            self.direct_, self._state.damping = "sparse", None
        return self

    # -- files --

    def save(self, path):
        """Write the model to one file (safetensors with JSON inside; nothing in it is executed by `load`).

        With the state of the optimiser, of the sampler and of the random generator (but for one that is not NumPy's own):
        `partial_fit` goes on from the file as from this model, to the bit.
        """
        saving.save(self, path)

    @classmethod
    def load(cls, path, *, memory_map=False):
        """The model that `save` wrote. ValueError where the file is not one, or is damaged.

        memory_map : True: the weights stay in the file and are read when they are needed, so that models larger than
            memory predict. Their checksums are not verified. Training copies them, to `weights_dir` if that is set.
        """
        return saving.load(cls, path, memory_map=memory_map)[0]

    # -- the fitted model --

    @property
    def n_iter_(self):
        """Epochs done."""
        if "loss_curve_" not in self.__dict__:
            raise AttributeError(f"this {type(self).__name__} is not fitted")
        return len(self.loss_curve_)

    @property
    def embedding_(self):
        return self._weights("E")

    @property
    def hidden_coef_(self):
        return self._weights("V")

    def transform(self, X):
        """The hidden layer ``x E`` of the low-rank term, (n_samples, hidden_size); there only where there is such a term.

        `set_output` chooses what it comes in, and `get_feature_names_out` names its columns.
        """
        runner = self._runner_for(X)
        out = np.empty((runner.n_rows, self._n_features_out), self._model.dtype)
        for rows in runner.chunks():
            out[rows] = runner.hidden(rows)
        return out

    @property
    def _n_features_out(self):
        return self._model.E.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # it is that of the model
        return tags

    def _working_memory(self):
        return self.working_memory

    def _ignored_label(self):
        return self.ignore_label

    def _forget_training(self):
        self._state = None
        self.loss_curve_, self.validation_curve_ = [*self.loss_curve_], [*self.validation_curve_]


# not as decorators: set_output's wrappers, which the class has put around them by now, would always be there
for name in ("transform", "fit_transform"):
    setattr(SoftmaxClassifier, name, available_if(_has_hidden_layer)(getattr(SoftmaxClassifier, name)))
