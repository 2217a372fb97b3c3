"""SoftmaxClassifier: mini-batch training and prediction of softmax models with very many classes."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from fastsoftmax import _calibration, _head, _parts, _planning, _sparse_head, _threads, optimizers, samplers
from fastsoftmax import _validation as v
from fastsoftmax._model import Model, Pattern
from fastsoftmax._runner import Runner
from fastsoftmax._sparse_runner import SparseRunner
from fastsoftmax._support import support
from fastsoftmax._training import Progress, Trainer
from fastsoftmax.sampled import LOSSES

__all__ = ["SoftmaxClassifier"]

DIRECT_PRIOR = 0.5  # the sparse term learns beside a bias of this times the log class frequencies (0.3 to 1 do as well)


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):
    """Softmax (multinomial logistic) model trained by mini-batches, for many classes and sparse input.

    The logits are ``z_k = bias_k + x . W_k + (x E) . V_k``: a direct term (`direct`), a low-rank term (`hidden_size`) or both.
    Training uses all classes in every step (`loss="softmax"`) or the true classes and random negatives that the rows of a
    batch share (`loss="sampled_softmax"` and others). Predictions and probabilities are always over all classes.

    Parameters
    ----------
    loss : {"auto", "softmax", "sampled_softmax", "nce", "sampled_logistic", "negative_sampling"}
        Of a low-rank or dense direct term; a sparse direct one by itself always learns by "softmax". All but that one sample:
        see `sampled_cross_entropy` for their definitions. "auto": "sampled_softmax" from 8,192 classes on. It is as good as
        the full softmax, the logistic losses are not (docs/candidate_sampling.md).
    hidden_size : int, None or "auto"
        Size of the low-rank term; None: no such term. "auto": 128 where there is no direct term, else None.
    direct : {"dense", "sparse", None, "auto"}
        "dense": a weight for each (class, feature). "sparse": for each such pair that occurs together in training; alone it
        is exact over all classes at a cost that does not grow with their number, with a low-rank term it predicts best
        where rows are sparse. None: no such term. "auto": "dense" where `hidden_size` is None; where it is "auto" too,
        "dense" if that takes less memory than a low-rank term of size 128, or if X is dense and half of the memory is
        enough for it; else None.
    sampler : {"in_batch", "unigram", "uniform", "log_uniform", "learned_unigram", "multi_index"} or a sampler
        Where negatives come from; an object of fastsoftmax.samplers says it with options (training copies it, since some
        learn). "in_batch": the classes of the batch's other rows, which cost nothing and do as well as any. "unigram",
        "in_batch" and others that use counts take those of training (in `partial_fit`, those of the first call).
    n_negatives : int
        Negatives drawn for each batch, with replacement; below the number of classes. "in_batch" draws none.
    optimizer : {"adagrad", "sgd"}
    learning_rate : float
        0.1 suits the low-rank term; a dense direct term alone, on sparse rows of unit length, learns faster with 0.3 to 1.
        The sparse direct term has its own, below.
    schedule : {"linear", "constant"}
        "linear": in `fit` the learning rate falls to zero over all steps of `max_iter` epochs.
    batch_size : int
    max_iter : int
        Epochs. 3 suit a sparse direct term alone; beside a low-rank one it learns in the first 3 only.
    gradient_threshold : float in [0, 1)
        Of full softmax: probabilities below it are rounded in the gradient, at random and without bias, to 0 or to it, so
        that a step skips most of its products once the model has learned something; see `linear_cross_entropy`. 0: exact
        gradients. No effect where there is a dense direct term and X is sparse, nor on sampled softmax.
    alpha : float or "auto"
        L2 penalty, ``alpha / 2`` times the squared weights that a step touches; not on the bias or a sparse direct term.
        "auto": 3e-5 for a low-rank term that is calibrated, else 0.
    class_alpha : float, None or "auto"
        L2 penalty on the class weights V of the low-rank term, ``class_alpha / 2 * ||V_y||^2`` in the loss of each row of
        class y: the same whether a step touches all classes or a sample. None: `alpha`, as for all other weights. "auto":
        2 for each class, 2 n_classes / n_samples a row, where `alpha` is "auto" and the term calibrated, else None.
    early_stopping : bool
        Hold out `validation_fraction` of the rows, stop when their loss has not fallen for `n_iter_no_change` epochs, and
        keep the weights of the best epoch.
    validation_fraction : float in (0, 1)
    n_iter_no_change : int
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
    direct_learning_rate : float or "auto"
        Of the sparse direct term, whose gradient is the sum, not the mean, over a batch. "auto": such that a row by itself
        would move the logit of its class by 1.5 log(n_classes). 0: it stays as `fit` was given it.
    min_count : int
        The sparse direct term leaves out pairs that occur in fewer rows,
    max_classes_per_feature : int or None
        and all of a feature that occurs with more classes: it tells little and costs the most.
    calibration_fraction : float in [0, 0.5] or "auto"
        Of the rows, at most 2,000, that `fit` holds out from training to find the factors by which bias, sparse direct and
        low-rank term are multiplied in the end. "auto": 0.03, without a dense direct term. With early stopping the
        rows held out for that serve. Nothing is calibrated on fewer than 30 rows.
    joint : bool
        True: both terms train on the loss of their sum, instead of each on its own; with a hidden layer and direct='sparse'
        only. Sampled softmax then takes each row's true class and all classes that its features have weights for as they
        are, and only estimates the others.
    n_hidden_features : int, optional
        Beside a sparse direct term: the low-rank term takes only so many of the first columns of X, for example words but
        not their conjunctions, which would make it large. Not with `joint`.

    Attributes
    ----------
    classes_ : (n_classes,) array of the labels, sorted
    coef_ : (n_classes, n_features) array, sparse for direct="sparse", the direct term's weights; absent without one
    intercept_ : (n_classes,) array
    embedding_ : (n_features, hidden_size) array E; absent without a low-rank term
    hidden_coef_ : (n_classes, hidden_size) array V; absent without a low-rank term
    loss_, direct_, hidden_size_, alpha_, class_alpha_ : what was used
    calibration_ : dict of str to float, the factors that "bias", "W" and "V" were last multiplied by, and that "prior", the
        bias that a sparse direct term learned beside, was added with; empty where nothing was calibrated
    loss_curve_ : list of float, mean training loss of each epoch; of terms that train by themselves the mean
    validation_curve_ : list of float, mean loss of the held-out rows, with early stopping
    n_iter_ : int, epochs done
    n_features_in_ : int

    Notes
    -----
    Sampled losses subtract log(expected count) from the logits of the negatives (Bengio and Senecal 2008; Jean et al.
    2015), merge repeated draws, and, but for "nce", never take a row's own class as its negative. The progress bar shows the
    sampled loss. With "negative_sampling" the bias includes log q of the sampler, which word2vec's loss leaves out, so that
    the logits become log odds up to a constant: nearly log-probabilities where these are small.
    Adagrad keeps one accumulator a row of E and V and one an element of W and the bias. The bias starts at the log class
    frequencies and is trained. Where a sparse direct term is the only one, it is not: it stays at half of them (of the first
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
        sampler="in_batch",
        n_negatives=1024,
        optimizer="adagrad",
        learning_rate=0.1,
        schedule="linear",
        batch_size=256,
        max_iter=10,
        gradient_threshold=3e-4,
        alpha="auto",
        class_alpha="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=1,
        random_state=None,
        n_threads=None,
        verbose=0,
        dtype="float32",
        working_memory=_head.WORKING_MEMORY,
        direct_learning_rate="auto",
        min_count=1,
        max_classes_per_feature=1000,
        calibration_fraction="auto",
        joint=False,
        n_hidden_features=None,
    ):
        self.loss = loss
        self.hidden_size = hidden_size
        self.direct = direct
        self.sampler = sampler
        self.n_negatives = n_negatives
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.gradient_threshold = gradient_threshold
        self.alpha = alpha
        self.class_alpha = class_alpha
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose
        self.dtype = dtype
        self.working_memory = working_memory
        self.direct_learning_rate = direct_learning_rate
        self.min_count = min_count
        self.max_classes_per_feature = max_classes_per_feature
        self.calibration_fraction = calibration_fraction
        self.joint = joint
        self.n_hidden_features = n_hidden_features

    # -- training --

    def fit(self, X, y, sample_weight=None, coef_init=None, intercept_init=None):
        """Train from scratch. Interrupting it (Ctrl-C) leaves a usable model of what was learned so far.

        Parameters
        ----------
        X : (n_samples, n_features) scipy.sparse matrix or array
        y : (n_samples,) array of integers, strings or bools
        sample_weight : (n_samples,) array, optional
            Weights of the rows' losses, not negative; only their ratios matter.
        coef_init : (n_classes, n_features) scipy.sparse matrix, optional
            With direct="sparse": the pairs that have weights, and where these begin, as `NGramFeatures.kneser_ney` makes
            them; with ``direct_learning_rate=0`` they stay there. `min_count` and `max_classes_per_feature` do not apply.
            Rows that these weights were made from cannot calibrate them: "auto" holds none out, `calibrate` takes others. It
            has to, where there is a low-rank term too. Weights from counts of the rows get worse by training on them.
        intercept_init : (n_classes,) array, optional
            With `coef_init`: the bias that belongs to it.

        Returns
        -------
        self
        """
        X, y, weight = self._check_rows(X, y, sample_weight)
        classes, codes = np.unique(y, return_inverse=True)
        v.check_classes(classes)
        start = v.check_start(coef_init, intercept_init, self.direct, (len(classes), X.shape[1]), np.dtype(self.dtype))
        rng = v.check_rng("random_state", self.random_state)
        plan = self._plan(classes, X, start[0])
        rows, valid = (X, codes, weight), None
        if self.early_stopping:
            rows, valid = _hold_out(*rows, self.validation_fraction, rng)
        held_out = valid
        if plan.n_calibration_rows and not self.early_stopping:
            rows, held_out = _hold_out(*rows, plan.n_calibration_rows, rng)
        self._initialise(plan, classes, *rows[:2], rng, *start)
        self._train(*rows, valid)
        if plan.n_calibration_rows:
            self._calibrate(*(a[: plan.n_calibration_rows] for a in held_out))
        return self

    def calibrate(self, X, y, sample_weight=None):
        """Multiply bias, sparse direct and low-rank term by the factors that suit these rows best.

        `fit` does it by itself with rows that it holds out; see `calibration_fraction`.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            Rows that the model was not trained on: at least 30, some thousand are enough.

        Returns
        -------
        self
        """
        model = self._runner_for(X).model
        if model.W is not None and model.pattern is None:
            raise ValueError("calibrate needs a sparse direct or a low-rank term, this model has a dense direct one")
        X, y, weight = self._check_rows(X, y, sample_weight, n_features=self.n_features_in_)
        v.check_calibration_rows(X.shape[0], _calibration.MIN_ROWS)
        self._calibrate(X, v.encode_labels(y, self.classes_), weight)
        return self

    def _calibrate(self, X, codes, weight):
        self.calibration_ = _calibration.calibrate(self._runner(X), codes, weight, self._model.prior)

    def _train(self, X, codes, weight, valid):
        """All epochs; of the held-out rows `valid`, if there are any, the best one's model stays."""
        if self._stays():
            return
        best, stale = None, 0
        with Progress(X.shape[0], self.max_iter, self.verbose) as progress:
            trainer = self._trainer(X, codes, weight, self.max_iter if self.schedule == "linear" else None)
            for epoch in range(self.max_iter):
                progress.describe(f"epoch {epoch + 1}/{self.max_iter}")
                self.loss_curve_.append(trainer.epoch(progress))
                self.n_iter_ = epoch + 1
                if valid is not None:
                    self.validation_curve_.append(self._validation_loss(*valid))
                    improved = self.validation_curve_[-1] <= min(self.validation_curve_)
                    best, stale = (self._model.copy(), 0) if improved else (best, stale + 1)
                    if stale >= self.n_iter_no_change:
                        break
        if best is not None:
            self._model = best
        else:
            trainer.check_finite()

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One epoch on (X, y), going on from the model so far.

        A sparse direct term takes the pairs of these rows in, with `min_count` and `max_classes_per_feature` for them
        alone. Calibrate when the stream is at its end: to train on undoes it, and may leave the model worse than before.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        classes : array of all labels there will ever be; needed by the first call, ignored later

        Returns
        -------
        self
        """
        X, y, weight = self._check_rows(X, y, sample_weight)
        if not hasattr(self, "_model"):
            if classes is None:
                raise ValueError("classes must be given in the first call of partial_fit")
            classes = np.unique(v.check_labels(classes, name="classes"))
            v.check_classes(classes, name="classes")
            codes = v.encode_labels(y, classes)
            plan = self._plan(classes, X)
            self._initialise(plan, classes, X, codes, v.check_rng("random_state", self.random_state))
        else:
            X = v.check_X(X, n_features=self.n_features_in_, dtype=self._model.dtype)
            codes = v.encode_labels(y, self.classes_)
            v.check_same_terms(self, self._model)
            if self._model.pattern is not None:
                self._model.grow(self._support(X, codes), self._damping)
        if self._stays():
            return self
        with Progress(X.shape[0], 1, self.verbose) as progress:
            self.loss_curve_.append(self._trainer(X, codes, weight).epoch(progress))
        self.n_iter_ += 1
        return self

    def _stays(self):
        """Whether nothing learns."""
        return self.direct_learning_rate == 0 and self._model.pattern is not None and self._model.E is None

    def _check_params(self):
        v.check_option("loss", self.loss, ("auto", "softmax", *LOSSES))
        v.check_option("schedule", self.schedule, ("linear", "constant"))
        v.check_option("direct", self.direct, ("auto", "dense", "sparse", None))
        if self.hidden_size not in ("auto", None):
            v.check_int("hidden_size", self.hidden_size, minimum=1)
        if self.direct is None and self.hidden_size is None:
            raise ValueError("direct and hidden_size are both None: the model would have no weights")
        for name in ("n_negatives", "batch_size", "max_iter", "n_iter_no_change", "min_count"):
            v.check_int(name, getattr(self, name), minimum=1)
        if self.max_classes_per_feature is not None:
            v.check_int("max_classes_per_feature", self.max_classes_per_feature, minimum=1)
        if self.direct_learning_rate != "auto":
            v.check_real("direct_learning_rate", self.direct_learning_rate, minimum=0)
        if self.calibration_fraction != "auto":
            v.check_real("calibration_fraction", self.calibration_fraction, minimum=0, maximum=0.5)
            v.check_calibration(self.calibration_fraction, self.direct)
        v.check_joint(self.joint, self.direct, self.hidden_size, self.direct_learning_rate, self.loss, self.class_alpha)
        if self.n_hidden_features is not None:
            v.check_int("n_hidden_features", self.n_hidden_features, minimum=1)
            if self.direct != "sparse" or self.hidden_size in (None, "auto") or self.joint:
                raise ValueError(
                    "n_hidden_features needs direct='sparse', a hidden_size that is an int, and joint=False"
                )
        v.check_int("working_memory", self.working_memory, minimum=0)
        v.check_dtype("dtype", self.dtype)
        v.check_n_threads(self.n_threads)
        v.check_gradient_threshold(self.gradient_threshold)
        v.check_real("validation_fraction", self.validation_fraction, above=0, maximum=0.999)
        self._optimizer()

    def _check_rows(self, X, y, sample_weight, n_features=None):
        """Rows as the kernels take them, the parameters checked first."""
        self._check_params()
        X = v.check_X(X, n_features=n_features, dtype=np.dtype(self.dtype), canonical=self.direct == "sparse")
        if X.shape[0] == 0 or X.shape[1] == 0:
            raise ValueError(f"X must have at least one row and one feature, got shape {X.shape}")
        if self.n_hidden_features is not None:
            v.check_int("n_hidden_features", self.n_hidden_features, maximum=X.shape[1])
        return X, v.check_labels(y, X_rows=X.shape[0]), v.check_sample_weight(sample_weight, X.shape[0])

    def _optimizer(self, alpha=0.0, class_alpha=None):
        """With these penalties where they are "auto"."""
        alpha = alpha if self.alpha == "auto" else self.alpha
        class_alpha = class_alpha if self.class_alpha == "auto" else self.class_alpha
        return optimizers.make(self.optimizer, self.learning_rate, alpha=alpha, class_alpha=class_alpha)

    def _validation_loss(self, X, codes, weight):
        return float(np.average(self._runner(X).nll(codes), weights=weight))

    def _plan(self, classes, X, W=None):
        """What "auto" stands for, where training begins at `W`; MemoryError where the memory it takes is not there."""
        n_classes, dense_input = len(classes), isinstance(X, np.ndarray)
        n_entries = X.size if dense_input else X.nnz
        params = self.get_params()
        if W is not None:
            n_entries = W.nnz
            if params["calibration_fraction"] == "auto":
                params["calibration_fraction"] = 0.0
        plan = _planning.choose(
            params, *X.shape[:1], n_classes, X.shape[1], n_entries=n_entries, dense_input=dense_input
        )
        if self.verbose:
            print(plan)
        v.check_memory("training", *_planning.memory_needed(plan, params, n_classes))
        return plan

    def _initialise(self, plan, classes, X, codes, rng, W=None, bias=None):
        n_classes = len(classes)
        self.loss_, self.direct_, self.hidden_size_ = plan.loss, plan.direct, plan.hidden_size
        self.alpha_, self.class_alpha_ = plan.alpha, plan.class_alpha
        self._class_counts = np.maximum(np.bincount(codes, minlength=n_classes), 1)
        self._sampler = self._sampler_given = None  # made when training begins
        self._check_sampling()
        self.classes_, self.n_features_in_, self._rng = classes, X.shape[1], rng
        pattern = None
        if plan.direct == "sparse":
            pattern = self._support(X, codes) if W is None else Pattern.of(W)
        self._model = Model.initialise(
            n_classes,
            X.shape[1],
            plan.hidden_size,
            plan.direct,
            optimizer=self._optimizer(),
            dense_input=isinstance(X, np.ndarray) and plan.hidden_size is None,
            rng=rng,
            dtype=np.dtype(self.dtype),
            pattern=pattern,
            n_hidden_features=self.n_hidden_features,
        )
        self._model.bias[:] = np.log(self._class_counts / self._class_counts.sum())
        self._damping = None
        if pattern is not None:
            self._start_sparse(X, W, bias)
        self.loss_curve_, self.validation_curve_, self.n_iter_, self.calibration_ = [], [], 0, {}

    def _start_sparse(self, X, W, bias):
        """The sparse direct term as it is before training: the given weights and bias, if any."""
        model = self._model
        self._damping = v.check_row_norms(X)
        lengths = np.diff(model.pattern.indptr)
        n_bytes, n_pairs = _sparse_head.step_bytes(X, lengths, self.batch_size, model.dtype.itemsize)
        formula = (
            f"{n_pairs:,} pairs of a feature and a class; a lower batch_size or max_classes_per_feature needs less"
        )
        v.check_memory("a training step", n_bytes, formula)
        if "W" in model.state:
            model.state["W"].fill(self._damping)
        if W is not None:
            model.W[:] = W.data
        prior = DIRECT_PRIOR * model.bias if bias is None else bias
        if model.E is None:
            model.bias[:] = prior
        elif not self.joint:
            model.prior = prior
        elif bias is not None:
            model.bias[:] = bias

    def _support(self, X, codes):
        limits = {"min_count": self.min_count, "max_classes_per_feature": self.max_classes_per_feature}
        return Pattern.of(support(X, codes, n_classes=len(self.classes_), **limits))

    def _trainer(self, X, codes, weight, n_epochs=None):
        """A Trainer whose learning rate falls over `n_epochs`, if given."""
        self._check_sampling()
        optimizer = self._optimizer(self.alpha_, self.class_alpha_)
        is_new = self._model.pattern is not None and "W" not in self._model.state
        self._model.prepare(optimizer)
        if is_new and "W" in self._model.state:
            self._model.state["W"].fill(self._damping)
        parts = _parts.make(self, X, optimizer, n_epochs)
        return Trainer(parts, codes, weight, batch_size=self.batch_size, rng=self._rng)

    def _runner(self, X, model=None, kind=None, **kwargs):
        """A Runner of the model, or of another one, over checked X; `kind` and kwargs: another class and what it takes."""
        model = self._model if model is None else model
        n_threads = _threads.resolve(v.check_n_threads(self.n_threads))
        kind = kind or (SparseRunner if model.pattern is not None and model.E is None else Runner)
        return kind(model, X, n_threads=n_threads, working_memory=self.working_memory, **kwargs)

    # -- prediction --

    def _runner_for(self, X):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "classes_")
        return self._runner(v.check_X(X, n_features=self.n_features_in_, dtype=self._model.dtype))

    def predict_topk(self, X, k=5):
        """The `k` most probable labels of each row and their log-probabilities, both (n_samples, k), best first."""
        runner = self._runner_for(X)
        codes, log_proba = runner.topk(v.check_int("k", k, minimum=1, maximum=len(self.classes_)))
        return self.classes_[codes], log_proba

    def predict(self, X):
        """The most probable label of each row (n_samples,)."""
        return self.predict_topk(X, 1)[0][:, 0]

    def decision_function(self, X):
        """All logits (n_samples, n_classes); MemoryError, before any work, where they do not fit."""
        runner = self._runner_for(X)
        shape = (runner.X.shape[0], len(self.classes_))
        v.check_memory(
            "the (n_samples, n_classes) result",
            shape[0] * shape[1] * self._model.dtype.itemsize,
            f"{shape[0]:,} x {shape[1]:,} x {self._model.dtype.itemsize} bytes; predict_topk needs no such array",
        )
        return runner.logits(np.empty(shape, self._model.dtype))

    def predict_proba(self, X):
        """Probabilities of all classes (n_samples, n_classes), columns as in `classes_`."""
        from fastsoftmax.functional import softmax

        logits = self.decision_function(X)
        return softmax(logits, axis=1, out=logits, n_threads=self.n_threads)

    def predict_log_proba(self, X):
        """Natural logarithms of the probabilities of all classes (n_samples, n_classes)."""
        from fastsoftmax.functional import log_softmax

        logits = self.decision_function(X)
        return log_softmax(logits, axis=1, out=logits, n_threads=self.n_threads)

    def target_log_proba(self, X, y):
        """Natural logarithm of the probability of each row's own label (n_samples,); -inf for labels not in `classes_`."""
        runner = self._runner_for(X)
        codes = v.encode_labels(v.check_labels(y, X_rows=runner.X.shape[0]), self.classes_, unknown=-1)
        return np.where(codes < 0, -np.inf, -runner.nll(codes))

    # -- parameters --

    def _resume(self):
        """Make a loaded model ready for partial_fit: with a new random generator."""
        self._rng = v.check_rng("random_state", self.random_state)
        self._sampler = self._sampler_given = None

    def _check_sampling(self):
        if self.loss_ in LOSSES and samplers.draws_negatives(self.sampler):
            v.check_n_negatives(self.n_negatives, len(self._class_counts))

    @property
    def intercept_(self):
        return self._fitted("bias")

    @property
    def coef_(self):
        W = self._fitted("W")
        return W if self._model.pattern is None else self._model.sparse_matrix()

    @property
    def embedding_(self):
        return self._fitted("E")

    @property
    def hidden_coef_(self):
        return self._fitted("V")

    def _fitted(self, name):
        a = getattr(self.__dict__.get("_model"), name, None)
        if a is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted, or has no such term ({name})")
        return a

    def save(self, path):
        """Write the model to one file (safetensors with JSON inside; nothing in it is executed by `load`).

        With the optimiser's state, but not that of the random generator: training goes on, in another order of rows.
        """
        from fastsoftmax import persistence

        persistence.save(self, path)

    @classmethod
    def load(cls, path):
        """The model that `save` wrote. ValueError where the file is not one, or is damaged."""
        from fastsoftmax import persistence

        return persistence.load(path)


def _hold_out(X, codes, weight, size, rng):
    """(X, codes, weight) of the training rows, and of the held-out rows; `size` is their share or number."""
    from sklearn.model_selection import train_test_split

    seed = int(rng.integers(np.iinfo(np.int32).max))
    split = train_test_split(X, codes, weight, test_size=size, random_state=seed)
    return split[::2], split[1::2]
