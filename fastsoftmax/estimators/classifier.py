"""SoftmaxClassifier: softmax models with very many classes, trained by mini-batches."""

from types import MappingProxyType

from sklearn.callback import CallbackSupportMixin, with_callbacks

from fastsoftmax.estimators import changes, marginals, saving, together
from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.estimators.fitting import Fitting
from fastsoftmax.estimators.hidden_layer import HiddenLayerTransformer
from fastsoftmax.runtime import workspaces
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.exclusive import exclusive

__all__ = ["SoftmaxClassifier"]


class SoftmaxClassifier(CallbackSupportMixin, HiddenLayerTransformer, together.SharedCommunicator, SoftmaxEstimator):
    """Softmax (multinomial logistic) model trained by mini-batches, for many classes and sparse input.

    The logits are ``z_k = bias_k + x . W_k + (x E) . V_k``: a direct term (`direct`), a low-rank term (`hidden_size`) or both.
    Training uses all classes in every step (`loss="softmax"`) or the true classes and random negatives that the rows of a
    batch share (`loss="sampled_softmax"` and others). Predictions and probabilities are always over all classes.

    Names and numbers stand for objects, which hold the options of a choice: ``direct="sparse"`` is ``direct=SparseTerm()``.

    Parameters
    ----------
    loss : str or of fastsoftmax.losses
        The loss of a low-rank or dense direct term: "auto", "softmax", "decoupled_softmax", "one_vs_all", "sampled_softmax",
        "sampled_decoupled_softmax", "nce", "sampled_logistic" or "negative_sampling". A sparse term learns by the same without
        samples. "auto" is "sampled_softmax" from 8,192 classes on, else "softmax", or their decoupled kinds where rows have
        several labels. Sampled softmax is as good as the full one; for one label a row, the logistic losses are not
        (docs/candidate_sampling.md). The objects have the options.
    hidden_size : int, None, "auto" or LowRank
        Size of the low-rank term; with None there is no such term. "auto" is 128 where there is no direct term, else None.
        `fastsoftmax.terms.LowRank` has the options.
    direct : {"dense", "sparse", None, "auto"} or SparseTerm
        "dense" has a weight for each (feature, class) pair; "sparse" has one for each pair that occurs in training. Alone,
        a sparse term is exact over all classes at a cost that does not grow with their number; with a low-rank term it
        predicts best where rows are sparse. `fastsoftmax.terms.SparseTerm` has the options. With None there is no such term.
        "auto" is "dense" where `hidden_size` is None. Where that is "auto" too, it is "dense" if this takes less memory than
        a low-rank term of size 128, or if X is dense and half of the memory is enough for it; else it is None.
    optimizer : {"adagrad", "sgd"} or of fastsoftmax.optimizers
        The optimiser. `Adagrad` and `SGD` have the penalties (L2, L1) and a bound for the gradient of a row.
    learning_rate : float or "auto"
        "auto" is 0.1, which suits the low-rank term; a dense direct term alone, on sparse rows of unit length, learns faster
        with 0.3 to 1. The sparse term has a learning rate of its own; where it is the only term, a number here is an error.
    schedule : {"auto", "trapezoidal", "linear", "constant", "cosine"} or function
        How the learning rate changes in `fit` over all steps of `max_iter` epochs. "trapezoidal" stays for 70 % of the steps,
        then falls to zero; "linear" falls all the time; "cosine" falls as a cosine does (docs/training_measured.md).
        "auto" is "linear" for a sparse term, else "trapezoidal". A function is given the progress, from 0 to below 1, and
        returns the factor of the learning rate. In `partial_fit`, which knows no end, the learning rate is constant.
    average : bool or float in (0, 1]
        Whether `fit` ends with the mean of the weights over the last half of the steps, or over the given share of them.
        Early stopping then judges this mean, as soon as there is one.
    batch_size : int
    max_iter : int or "auto"
        Number of epochs. "auto" is 3 for a sparse term alone, which learns no more in further ones, else 10. Beside a
        low-rank term, a sparse term learns in the first 3 only.
    early_stopping : bool or EarlyStopping
        Whether to hold out a tenth of the rows, stop when their loss has not fallen for an epoch, and keep the weights of the
        best epoch. `fastsoftmax.estimators.EarlyStopping` has the options.
    warm_start : bool
        Whether `fit` resumes the training of the model so far, for `max_iter` more epochs with a schedule of their own.
        Classes, features and terms must be the same. If `random_state` is an int, so are the rows held out.
    random_state : int, numpy random generator or None
        It sets initial weights, order of rows and negatives. A seed gives the same model to the bit for any `n_threads`.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.
    verbose : int
        1 says on standard error what "auto" chose, and shows loss, rows per second and time left; 2 also what ranks send.
    dtype : {"float32", "float64"}
        The type of the weights and of all computation.
    working_memory : int
        Bytes for the probabilities that a step keeps.
    calibration_fraction : float in [0, 0.5] or "auto"
        The share of the rows, at most 2,000, that `fit` holds out to find the factors by which it multiplies bias, sparse and
        low-rank term in the end. "auto" is 0.03 without a dense direct term, else 0. Early stopping and calibration share
        their held-out rows. Nothing is calibrated on fewer than 30 rows.
    class_weight : dict, "balanced" or None
        Weights of classes by label; classes that it does not name have 1. They are factors of the rows' weights, also of
        rows held out or calibrated on, and of the counts that the bias starts from. "balanced" makes all classes count
        alike, by n_samples / (n_classes * count); `partial_fit` does not take it.
    ignore_label : label, optional
        `fit`, `partial_fit`, `calibrate` and `score` ignore rows with this label, which is no class. nan stands for all
        missing labels: None, NaN, NaT, pandas.NA. With None, all rows count.
    checkpoint : path or Checkpoint, optional
        A file to which `fit` writes the state of its training every ten minutes; with `comm`, one for each rank. If `fit` is
        killed and called again with the same parameters and data, it resumes there and ends with the same model to the bit;
        `n_threads`, `verbose` and where things are stored may differ. It raises ValueError if the file is damaged or holds
        something else, and removes it when it returns; Ctrl-C leaves it. `Checkpoint` has options. `partial_fit` needs `save`.
    weights_dir : path of a folder, optional
        The folder of memory-mapped files with the weights and the optimiser's state, for models larger than memory. The files
        have no name: their space is allocated at the start, and free again when the model or the process is gone. `save`
        keeps the model; pickling reads it into memory. docs/large_models.md has more.
    objective : {"auto", "precision", "recall", "tail"} or of fastsoftmax.objectives
        What `fit` aims at where rows have several labels. "precision": labels at the top of the list that the row has; a
        one-vs-all hinge on hard negatives follows the softmax, in a sparse term. "tail": the same, by inverse propensity.
        "recall": the softmax alone. "auto" is "precision" where X is sparse and nothing else is asked for, else "recall".
        `fastsoftmax.objectives` has the options, docs/several_labels.md the rest.
    comm : mpi4py communicator, optional
        The processes that train together, each with a range of the classes and a part of the rows: docs/distributed.md.

    Attributes
    ----------
    classes_ : (n_classes,) array of the labels, sorted; labels that have no order are in that of their first appearance
    coef_ : (n_classes, n_features) array, sparse for a sparse term, the weights of the direct term; absent without one
    intercept_ : (n_classes,) array
    embedding_ : (n_features, hidden_size) array E, or a rank's rows of it; absent without a low-rank term
    hidden_coef_ : (n_classes, hidden_size) array V; absent without a low-rank term
    loss_, direct_, hidden_size_, alpha_, class_alpha_, objective_ : the choices that were used
    ranking_ : dict of str to float, "C" and "softmax_share" of the last stage of training for precision; empty without one
    marginals_ : dict of str to float, what `predict_marginals` makes of logits; empty where nothing was calibrated
    calibration_ : dict of str to float, the factors that "bias", "W" and "V" were last multiplied by, and that "prior", the
        bias that a sparse term learned with, was added with; empty where nothing was calibrated
    loss_curve_ : list of float, mean training loss of each epoch, and the mean over the learners if there are two
    validation_curve_ : list of float, mean loss of the held-out rows after each epoch, with early stopping
    n_iter_ : int, number of epochs done
    n_features_in_ : int
    feature_names_in_ : (n_features,) array of the names of a DataFrame's columns; absent unless all of them are strings
    vectorizer_ : the TextVectorizer or SequenceFeatures that `save` was given, which copies and files of the model keep. With
        a TextVectorizer, X may be texts in all methods but `fit`. None without one

    Notes
    -----
    Sampled losses subtract log(expected count) from the logits of the negatives (Bengio and Senecal 2008; Jean et al.
    2015), merge repeated draws and, except for "nce", never take a row's own class as its negative. The progress bar shows
    the sampled loss. docs/scikit_learn.md says which parts of scikit-learn the classifier works with: `set_callbacks` (each
    epoch of `fit` is a task), metadata routing, and `set_output` of `transform`.

    Adagrad keeps one accumulator a row of E and V, and one an element of W and the bias. The bias starts at the log class
    frequencies and is trained. Where a sparse term is the only term, the bias is not trained: it stays at half the log class
    frequencies (of the first call of `partial_fit`) until it is calibrated. docs/exact_on_the_support.md explains such terms.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from fastsoftmax import SoftmaxClassifier
    >>> X, y = sp.eye(4, format="csr"), ["a", "b", "c", "a"]
    >>> SoftmaxClassifier(random_state=0).fit(X, y).predict(X).tolist()
    ['a', 'b', 'c', 'a']
    """

    marginals_ = ranking_ = MappingProxyType({})  # of a model that was not calibrated, or not trained for precision

    def __init__(
        self,
        loss="auto",
        hidden_size="auto",
        direct="auto",
        optimizer="adagrad",
        learning_rate="auto",
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
        objective="auto",
        comm=None,
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
        self.objective = objective
        self.comm = comm

    # -- training --

    @exclusive
    def fit(
        self, X, y, sample_weight=None, *, coef_init=None, intercept_init=None, embedding_init=None, X_val=None, y_val=None,
        sample_weight_val=None,
    ):  # fmt: skip
        """Train from scratch, or resume with `warm_start`.

        If it is interrupted (Ctrl-C), it leaves a usable model with what was learned so far.

        Parameters
        ----------
        X : (n_samples, n_features) scipy.sparse matrix or array
        y : (n_samples,) array of labels, list of lists or sets of them, or (n_samples, n_classes) scipy.sparse matrix or array
            Labels are integers, strings, bools, bytes, dates or any hashable objects. If rows have several classes, y has a
            list or a set of labels for each row, or is a matrix, an indicator or masses of at least 0: then the classes are 0,
            1, 2, ..., and each row's masses are normalised to a sum of 1 (`sample_weight=Y.sum(axis=1)` undoes that). What is
            learned of them is up to `objective` and `loss`; masses that differ within a row are a distribution, which a
            softmax learns. Rows without any do not count. docs/several_labels.md and docs/labels_and_streams.md have more.
        sample_weight : (n_samples,) array, optional
            Weights, at least 0, of the rows' losses and in the class frequencies that the bias starts at. Only their ratios
            matter. A row of weight 0 is as if it were not there, but its label is a class.
        coef_init : (n_classes, n_features) scipy.sparse matrix, optional
            The pairs of a sparse term and their initial weights, for example from `NGramFeatures.kneser_ney`. They do not
            change with ``SparseTerm(learning_rate=0)``; `min_count` and `max_classes_per_feature` do not apply. The rows that
            such weights were made from cannot calibrate them, so "auto" holds none out; call `calibrate` with other rows:
            beside a low-rank term, predictions warn until then. Training on rows that weights were counted on harms these.
        intercept_init : (n_classes,) array, optional
            The bias that belongs to `coef_init`.
        embedding_init : (n_features, hidden_size) array, optional
            The initial embedding E of the low-rank term, for example word vectors trained elsewhere. It has the first
            features only where LowRank.n_features is set. ``hidden_size="auto"`` takes its width.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            The rows that early stopping judges by, instead of a part of X. All their labels must be in y.

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
    def _fit(self, *args, output=None):
        """Do what `fit` does, for a model to be saved at `output`; return the CheckpointWatcher, with its file, or None."""
        return Fitting(self).fit(*args, output=output)

    @exclusive
    def partial_fit(self, X, y, classes=None, sample_weight=None, *, n_classes=None, class_counts=None):
        """Train for one epoch on (X, y), starting from the model so far.

        A sparse term adds the pairs of these rows; `min_count` applies to these rows alone. Samplers draw by the counts of
        all rows so far. Calibrate at the end of the stream: further training undoes it, and may leave the model worse than
        before. docs/labels_and_streams.md says what else `fit` does, and how to have it here.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            Masses of classes have a column for each of `classes_`. After the first call, a chunk of weight 0 changes nothing.
        classes : array of all labels until `add_classes` adds more; the first call needs it or `n_classes`
        n_classes : int
            The labels are 0 to n_classes - 1. Later calls ignore `classes`, `n_classes` and `class_counts`.
        class_counts : (n_classes,) array, optional
            How often each class, in ascending order, occurs in rows like those to come, if that is known. The initial bias
            and the samplers start from these counts, to which those of the rows are added.

        Returns
        -------
        self
        """
        Fitting(self).partial_fit(X, y, classes, sample_weight, n_classes, class_counts)
        return self

    @exclusive
    def calibrate(self, X, y, sample_weight=None):
        """Multiply bias, sparse and low-rank term by the factors that suit these rows best. `fit` does so with held-out rows.

        Where rows have several labels, `predict_marginals` is calibrated too. ValueError where ``direct_`` is "dense", which
        may be what "auto" chose (`prune` makes such a term sparse), and rows have one label.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
            Rows that the model was not trained on. At least 30 are needed; a few thousand are enough.

        Returns
        -------
        self
        """
        self._fitted_model()
        Fitting(self).calibrate(X, y, sample_weight)
        return self

    # -- changes without rows --

    @exclusive
    def add_classes(self, labels):
        """Add new classes, for `partial_fit` to learn.

        They begin as classes without examples would have begun: with weights of zero, the initial bias of an unseen class,
        and a new optimiser's state. All other classes keep their weights and so their logits. `classes_` stays in ascending
        order, so the codes of classes behind a new one change. The next training makes a sampler given by name anew; any
        other sampler must be replaced by one over all classes.

        Parameters
        ----------
        labels : array of labels, of the same kind as those of the model
            None of them may be a class already; repeated labels count once.

        Returns
        -------
        self
        """
        changes.add_classes(self, labels)
        return self

    @exclusive
    def prune(self, threshold=0.0):
        """Remove direct weights with an absolute value up to `threshold`, which makes the model smaller and faster.

        A dense direct term becomes a sparse term, whose predictions cost what a row's own weights do. They do not change if
        only zeros are removed, as `l1_alpha` makes them. After ``set_params(direct="sparse")``, training continues with the
        rules of sparse terms; where there is a low-rank term as well, the model can only predict.

        Returns
        -------
        self
        """
        changes.prune(self, threshold)
        return self

    # -- files --

    @exclusive
    def save(self, path, *, vectorizer=None, n_shards=None):
        """Write the model to one file (safetensors with JSON inside; `load` executes nothing in it), or to a folder of files.

        They hold the state of the optimiser, of the sampler and of the random generator (if it is one of NumPy's own), so
        `partial_fit` continues from them as from this model, to the bit. With `comm`, all ranks call it, and each writes one.

        vectorizer : the `TextVectorizer` or `SequenceFeatures` that made X, to be kept as `vectorizer_`, here and in the file
        n_shards : int, the number of files with a range of the classes each; None: no folder, or with `comm` one for each rank
        """
        saving.save(self, path, vectorizer, n_shards=n_shards)

    @classmethod
    def load(cls, path, *, memory_map=False, comm=None):
        """The model that `save` wrote: see `fastsoftmax.load`."""
        return saving.load(cls, path, memory_map=memory_map, comm=comm)

    # -- the fitted model --

    @property
    def n_iter_(self):
        """The number of epochs done."""
        if "loss_curve_" not in self.__dict__:
            raise AttributeError(f"this {type(self).__name__} is not fitted")
        return len(self.loss_curve_)

    @property
    def embedding_(self):
        return self._weights("E")

    @property
    def hidden_coef_(self):
        return self._weights("V")

    @with_numpys_defaults
    def predict_marginals(self, X, threshold=None):
        """The probability of each label by itself, where rows may have several: those of a row need not add up to 1.

        `fit` on rows with several labels finds them by a logistic regression on the rows that it calibrates on, and so does
        `calibrate`. With ``loss=OneVsAll()`` they are there without.

        Parameters
        ----------
        X : (n_samples, n_features) array or scipy.sparse matrix
        threshold : float in (0, 1), optional
            Labels below it are left out; with 0.5, those that are more likely than not are kept.

        Returns
        -------
        (n_samples, n_classes) array, or CSR array where there is a threshold, with columns as in `classes_`
        """
        return marginals.predict(self, X, threshold)

    def _working_memory(self):
        return self.working_memory

    def _ignored_label(self):
        return self.ignore_label

    def _forget_training(self):
        self._state = None
        self.loss_curve_, self.validation_curve_ = [*self.loss_curve_], [*self.validation_curve_]
