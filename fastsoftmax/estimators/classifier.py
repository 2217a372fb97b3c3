"""SoftmaxClassifier: the parameters and methods of softmax models with very many classes, trained by mini-batches."""

from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin

import fastsoftmax.validation as v
from fastsoftmax.estimators.changing import Changing
from fastsoftmax.estimators.fitting import Fitting
from fastsoftmax.estimators.hidden import HiddenLayer
from fastsoftmax.estimators.prediction import Prediction
from fastsoftmax.runtime import workspaces
from fastsoftmax.training import calibration, growing, planning, targets

__all__ = ["SoftmaxClassifier"]


class SoftmaxClassifier(
    Fitting, Changing, Prediction, HiddenLayer, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
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
        "in_batch" and others that use counts take those of training (in `partial_fit`, of all rows so far).
    n_negatives : int
        Negatives drawn for each batch, with replacement; below the number of classes. "in_batch" draws none.
    optimizer : {"adagrad", "sgd"}
    learning_rate : float
        0.1 suits the low-rank term; a dense direct term alone, on sparse rows of unit length, learns faster with 0.3 to 1.
        The sparse direct term has its own, below.
    schedule : {"auto", "trapezoidal", "linear", "constant", "cosine"} or function
        How the learning rate changes in `fit` over all steps of `max_iter` epochs. "trapezoidal" stays for 70 % of the steps,
        then falls to zero; "linear" falls all the time; "cosine" as a cosine does (docs/training.md compares them). "auto":
        "linear" for a sparse direct term and in joint training, else "trapezoidal". A function gets the progress, from 0 to
        below 1, and returns the factor of the learning rate. `partial_fit` knows no end: its rate stays.
    average : bool or float in (0, 1]
        `fit` ends with the mean of the weights over the last half of the steps, or over that share of them. With early
        stopping it is the mean that is judged, as soon as there is one.
    batch_size : int
    max_iter : int
        Epochs. 3 suit a sparse direct term alone; beside a low-rank one it learns in the first 3 only.
    gradient_threshold : float in [0, 1)
        Of full softmax: probabilities below it are rounded in the gradient, at random and without bias, to 0 or to it, so
        that a step skips most of its products once the model has learned something; see `linear_cross_entropy`. 0: exact
        gradients. No effect where there is a dense direct term and X is sparse, nor on sampled softmax.
    alpha : float or "auto"
        L2 penalty, ``alpha / 2`` times the squared weights that a step touches; not on the bias or a sparse direct term.
        "auto": 3e-5 for a low-rank term that `fit` calibrates, else 0.
    l1_alpha : float
        L1 penalty, ``l1_alpha`` times the absolute weights of the direct term, dense or sparse, beside the mean loss: weights
        that the data do not hold up become exactly zero, and `prune` takes them out. With `alpha` an elastic net.
    class_alpha : float, None or "auto"
        L2 penalty on the class weights V of the low-rank term, ``class_alpha / 2 * ||V_y||^2`` in the loss of each row of
        class y: the same whether a step touches all classes or a sample. None: `alpha`, as for all other weights. "auto":
        2 for each class, 2 n_classes / n_samples a row, where `alpha` is "auto" and `fit` calibrates the term, else None.
    normaliser_rate : float in (0, 1] or "auto"
        Of sampled softmax in `fit`: each row's estimate of the partition function moves so far, from epoch to epoch, from all
        its draws before to those of the step. 1: it is that of the step. "auto": 0.5 from 8,192 classes on, else 1.
    clip_norm : float, optional
        Bound of the norm of the gradient of each row's loss: no row, however long or however wrong, moves the model further.
        The gradients by the output weights (W, V, bias) and by the embedding E are each bounded by it. None: no bound.
    warm_start : bool
        `fit` goes on from the model so far, for `max_iter` further epochs with a schedule of their own. Classes, features and
        terms must be the same. With a `random_state` that is an int the rows held out are the same again, too.
    freeze_embedding : bool
        E stays as it is: as `fit` is given it, or as it was.
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
        and all of a feature that occurs with more classes: it tells little and costs the most. In `partial_fit`, a feature
        that has more takes in no further ones.
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
    class_weight : dict, "balanced" or None
        Weights of classes by label, 1 for those that it does not name: factors of the rows' weights, also where they are
        calibrated or held out. "balanced": such that all classes count alike, by n_samples / (n_classes * count); not in
        `partial_fit`. The starting bias is that of the weighted counts.
    ignore_label : label, optional
        Rows with this label do not count, as if they were not there, in `fit`, `partial_fit`, `calibrate` and `score`; it is
        no class. nan stands for all labels that are missing: None, NaN, NaT, pandas.NA. None: all rows count.
    checkpoint : path, optional
        A file that `fit` writes the state of its training to, from time to time. Killed and called again with the same
        parameters and data, it goes on from there, to the very model it would have become; `n_threads`, `verbose` and
        where things are stored may differ. Where the file is of anything else, or damaged, that is a ValueError. It is
        removed when `fit` returns; Ctrl-C leaves the last one. `save` is the checkpoint of `partial_fit`.
    checkpoint_every : float
        Seconds between two checkpoints, at least; 0: after each step. Each writes the model and its optimiser's state, and
        until it is complete the disk has both.
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
        bias that a sparse direct term learned beside, was added with; empty where nothing was calibrated
    loss_curve_ : list of float, mean training loss of each epoch; of terms that train by themselves the mean
    validation_curve_ : list of float, mean loss of the held-out rows, with early stopping
    n_iter_ : int, epochs done
    n_features_in_ : int
    feature_names_in_ : (n_features,) array of the names of a DataFrame's columns; absent where these are not all strings

    Notes
    -----
    Sampled losses subtract log(expected count) from the logits of the negatives (Bengio and Senecal 2008; Jean et al.
    2015), merge repeated draws, and, but for "nce", never take a row's own class as its negative. The progress bar shows the
    sampled loss. "negative_sampling" is the same as "sampled_logistic" here: word2vec's loss with a bias that includes the
    log expected count, so that the logits are log odds, nearly log-probabilities where these are small. The running estimate
    of the partition function (`normaliser_rate`) is that of arXiv:2602.02877.
    docs/scikit_learn.md tells what of scikit-learn it works with: `set_callbacks` (each epoch of `fit` is a task), metadata
    routing, `set_output` of `transform`.
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
        schedule="auto",
        average=False,
        batch_size=256,
        max_iter=10,
        gradient_threshold=3e-4,
        alpha="auto",
        class_alpha="auto",
        l1_alpha=0.0,
        clip_norm=None,
        normaliser_rate="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=1,
        warm_start=False,
        random_state=None,
        n_threads=None,
        verbose=0,
        dtype="float32",
        working_memory=workspaces.WORKING_MEMORY,
        direct_learning_rate="auto",
        min_count=1,
        max_classes_per_feature=1000,
        calibration_fraction="auto",
        joint=False,
        n_hidden_features=None,
        freeze_embedding=False,
        class_weight=None,
        ignore_label=None,
        checkpoint=None,
        checkpoint_every=600,
        weights_dir=None,
    ):
        self.loss = loss
        self.hidden_size = hidden_size
        self.direct = direct
        self.sampler = sampler
        self.n_negatives = n_negatives
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.average = average
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.gradient_threshold = gradient_threshold
        self.alpha = alpha
        self.class_alpha = class_alpha
        self.l1_alpha = l1_alpha
        self.clip_norm = clip_norm
        self.normaliser_rate = normaliser_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
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
        self.freeze_embedding = freeze_embedding
        self.class_weight = class_weight
        self.ignore_label = ignore_label
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.weights_dir = weights_dir

    # -- training --

    def fit(
        self, X, y, sample_weight=None, *, coef_init=None, intercept_init=None, embedding_init=None, X_val=None, y_val=None,
        sample_weight_val=None,
    ):  # fmt: skip
        """Train from scratch, or with `warm_start` go on.

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
            With direct="sparse": the pairs that have weights, and where these begin, as `NGramFeatures.kneser_ney` makes
            them; with ``direct_learning_rate=0`` they stay there. `min_count` and `max_classes_per_feature` do not apply.
            Rows that these weights were made from cannot calibrate them: "auto" holds none out, `calibrate` takes others. It
            has to, where there is a low-rank term too. Weights from counts of the rows get worse by training on them.
        intercept_init : (n_classes,) array, optional
            With `coef_init`: the bias that belongs to it.
        embedding_init : (n_features, hidden_size) array, optional
            Where the embedding E of the low-rank term begins, for example at word vectors trained elsewhere; of the first
            `n_hidden_features` features where these are set. `hidden_size="auto"` is its width.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            With early stopping, rows to judge by, in place of `validation_fraction` of X. All their labels must be in y.

        Returns
        -------
        self
        """
        begins_at = {"coef_init": coef_init, "intercept_init": intercept_init, "embedding_init": embedding_init}
        checkpoint = self._fit(X, y, sample_weight, begins_at, (X_val, y_val, sample_weight_val))
        if checkpoint is not None:
            checkpoint.remove()
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
        v.check_can_calibrate(self._fitted_model())
        X, y, weight, counted = self._check_rows(X, y, sample_weight, n_features=self.n_features_in_)
        v.check_calibration_rows(X.shape[0], calibration.MIN_ROWS)
        target = targets.encode(y, self.classes_, counted)
        target, weight, _ = targets.weigh(self.class_weight, target, weight, self.classes_)
        self._calibrate(X, target, weight)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None, *, n_classes=None, class_counts=None):
        """One epoch on (X, y), going on from the model so far.

        A sparse direct term takes the pairs of these rows in, with `min_count` for them alone. Samplers draw by the counts
        of all rows so far. Calibrate when the stream is at its end: to train on undoes it, and may leave the model worse
        than before. What `fit` does beside that, and how to have it here, is told in docs/labels_and_streams.md.

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
        names = v.feature_names(X)
        X, y, weight, counted = self._check_rows(X, y, sample_weight, self.__dict__.get("n_features_in_"))
        v.check_not_balanced(self.class_weight)
        is_first = not hasattr(self, "_model")
        if is_first:
            v.check_some_rows(X)
            given, classes = classes, v.check_all_labels(classes, n_classes)
            v.check_not_ignored("classes", classes, self.ignore_label)
            if sparse.issparse(y) and given is not None:
                v.check_column_labels(given, classes)
        else:
            classes = self.classes_
            v.check_same_terms(self, self._model)
        if X.shape[0] == 0:  # none counts
            return self
        target = targets.encode(y, classes, counted)
        target, weight, class_weight = targets.weigh(self.class_weight, target, weight, classes)
        if is_first:
            counts = target.counts(len(classes))
            if class_counts is not None:
                counts = counts + v.check_class_counts(class_counts, len(classes))
            plan = planning.plan(self, len(classes), X, targets_per_row=target.per_row, calibrates=False)
            rng = v.check_rng("random_state", self.random_state)
            options = {"class_counts": counts, "class_weight": class_weight}
            self._initialise(plan, classes, X, target, rng, planning.NO_START, **options)
            self._name_features(names)
        else:
            growing.take_in(self, X, target)
        self._train_once(X, target, weight)
        return self

    def save(self, path):
        """Write the model to one file (safetensors with JSON inside; nothing in it is executed by `load`).

        With the state of the optimiser, of the sampler and of the random generator (but for one that is not NumPy's own):
        `partial_fit` goes on from the file as from this model, to the bit.
        """
        from fastsoftmax.files import model_file

        model_file.save(self, path)

    @classmethod
    def load(cls, path, *, memory_map=False):
        """The model that `save` wrote. ValueError where the file is not one, or is damaged.

        memory_map : True: the weights stay in the file and are read when they are needed, so that models larger than
            memory predict. Their checksums are not verified. Training copies them, to `weights_dir` if that is set.
        """
        from fastsoftmax.files import model_file

        return model_file.load(path, memory_map=memory_map)
