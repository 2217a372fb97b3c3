"""OneVsAllClassifier: a binary problem for each label, all solved to their optima side by side."""

import numpy as np
from scipy import sparse
from scipy.special import expit, logit
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax.estimators.model_estimator import ModelEstimator
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.newton import one_vs_all
from fastsoftmax.passes.eligible import labels_of
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.exclusive import exclusive
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.runtime.warning import warn
from fastsoftmax.training import targets
from fastsoftmax.validation import (
    check_factors,
    check_memory,
    check_n_threads,
    check_one_vs_all_params,
    check_one_vs_all_rows,
    class_factors,
    feature_names,
    is_auto,
)

__all__ = ["OneVsAllClassifier"]

SPARSE_FEATURE_SCALING = 0.25  # what "auto" stands for where X is sparse


class OneVsAllClassifier(ModelEstimator):
    """A linear classifier of each label against all others, for one label a row or several, solved to the optimum.

    For each label k it minimises ``1/2 ||w_k||^2 + C sum_i s_i loss(y_ik z_ik)`` with ``z_ik = w_k . x_i`` and y_ik = 1 where
    row i has the label, else -1. All rows are negatives of all labels that they do not have, without sampling; with
    ``tol=1e-7, feature_scaling=0`` it finds the coefficients of scikit-learn's LinearSVC. On questions with several tags each,
    its best label is right for 72 %, as is that of `SoftmaxClassifier` (docs/one_vs_all.md). The result is deterministic, the
    same to the bit for any `n_threads`. The rows of X should have unit length: C is about right then.

    Parameters
    ----------
    loss : {"squared_hinge", "logistic"}
        ``max(0, 1 - y z)^2`` or ``log(1 + exp(-y z))``.
    C : float
        Inverse strength of the penalty, as in LIBLINEAR.
    tol : float
        A label is done when the norm of its gradient is this share of the norm at zero weights. The default ends early, which
        predicts as well as the optimum or better, in a fraction of the time.
    max_iter : int
        The most iterations of Newton's method for a label.
    fit_intercept : bool
        Whether there is an intercept. It is penalised as the weight of a feature that is `intercept_scaling` in all rows.
    intercept_scaling : float
    feature_scaling : float in [0, 1] or "auto"
        Features that occur in many rows are penalised more: the penalty is that of X with each feature divided by the power
        `feature_scaling` of its root mean square over rows, by weight, relative to the median one. 0: all features are
        penalised alike; 1: as if all had the same mean square. "auto" is 0.25 for sparse X, else 0.
    class_weight : dict, "balanced" or None
        Factors of the weights of the rows that have a label, by label; all others count as they are. "balanced" stands for
        n_labels / (n_classes count). With two classes and one label a row, they weigh the rows of both, as in LinearSVC.
    min_weight : float
        Weights smaller than it become zero, as soon as a label is solved, and `coef_` is sparse: with many labels that is what
        makes them fit into memory (0.01 in DiSMEC). 0: `coef_` is dense.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process. Threads share the labels, 64 at a time.
    verbose : int
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : (n_classes,) array of the labels, sorted; the numbers of the columns where `y` has a column a label
    coef_ : (n_classes, n_features) array, or scipy.sparse CSC array with `min_weight`
        For two classes of which each row has one, not as an indicator, (1, n_features): the weights of the second.
    intercept_ : (n_classes,) array, or (1,)
    n_iter_ : int, the most iterations that a label took
    n_features_in_, feature_names_in_ : as in scikit-learn

    References
    ----------
    Fan et al. 2008, LIBLINEAR: a library for large linear classification, JMLR 9. Babbar and Schoelkopf 2017, DiSMEC,
    arXiv:1609.02521.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import OneVsAllClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> round(OneVsAllClassifier(tol=1e-4).fit(X, y).score(X, y), 2)
    0.97
    """

    def __init__(
        self,
        loss="squared_hinge",
        C=1.0,
        *,
        tol=1e-2,
        max_iter=100,
        fit_intercept=True,
        intercept_scaling=1.0,
        feature_scaling="auto",
        class_weight=None,
        min_weight=0.0,
        n_threads=None,
        verbose=0,
    ):
        self.loss = loss
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.feature_scaling = feature_scaling
        self.class_weight = class_weight
        self.min_weight = min_weight
        self.n_threads = n_threads
        self.verbose = verbose

    @exclusive
    @with_numpys_defaults
    def fit(self, X, y, sample_weight=None):
        """Find the weights of all labels. If it is interrupted (Ctrl-C), what was fitted before stays.

        Parameters
        ----------
        X : (n_samples, n_features) array or scipy.sparse matrix
            float32 or float64; other types become float64.
        y : labels of any kind that SoftmaxClassifier takes, one a row or several
            A row without any label is a negative of all. Where `y` holds masses, each above 0 is a label.
        sample_weight : (n_samples,) array, optional
            Weights of the rows' losses, at least 0. Their scale matters: twice the weights are twice C.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the squares of the values of X, or C times them, overflow its type.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` iterations did not reach `tol` for some labels.
        """
        check_one_vs_all_params(self)
        names = feature_names(X)
        X, y, counted, weight = check_one_vs_all_rows(self, X, y, sample_weight)
        classes, target = targets.learn(y)
        positives = _indicator(target, counted, len(classes))
        is_binary = isinstance(target, targets.HardTargets) and counted is None and len(classes) == 2
        factors, scales = self._factors(classes, positives, weight), self._scales(X, weight)
        if is_binary:  # the first class is the negative of the second
            weight = weight * factors[positives.indices]
            positives, factors = positives[:, [1]], np.ones(1)
        unit = check_factors(self, weight, factors, X.dtype)
        n_threads = threads.resolve(check_n_threads(self.n_threads))
        self._check_memory(X, positives.shape[1], n_threads)
        problems = one_vs_all.Problems(
            one_vs_all.rows_of(X, scales, self.intercept_scaling if self.fit_intercept else None),
            self.loss,
            (self.C * weight / unit).astype(X.dtype),
            positives.tocsc(),
            factors.astype(X.dtype),
            1 / unit,
        )
        W, bias, n_iter = self._solve(problems, scales, n_threads)
        model = mirrored(W, bias) if is_binary else model_of(W, bias)
        self._set_fitted(
            _model=model, _is_binary=is_binary, classes_=classes, n_features_in_=X.shape[1], n_iter_=n_iter
        )
        self._name_features(names)
        return self

    def _factors(self, classes, positives, weight):
        rows = np.repeat(np.arange(len(weight)), np.diff(positives.indptr))
        return class_factors(self.class_weight, classes, positives.indices, weight[rows])

    def _scales(self, X, weight):
        """What each feature is multiplied by, (n_features,); None: nothing."""
        power = self.feature_scaling
        if is_auto(power):
            power = 0.0 if isinstance(X, np.ndarray) else SPARSE_FEATURE_SCALING
        return one_vs_all.feature_scales(X, weight, power)

    def _check_memory(self, X, n_problems, n_threads):
        """Raise MemoryError where there is too little memory for what `fit` is sure to allocate."""
        n_bytes = X.shape[1] * n_problems * X.dtype.itemsize if self.min_weight == 0 else 0
        parts = {f"{n_problems:,} labels x {X.shape[1]:,} features": n_bytes}
        n_blocks = -(-n_problems // one_vs_all.block_width(n_problems))
        block = one_vs_all.block_bytes(X.shape, n_problems, X.dtype.itemsize)
        parts[f"{min(n_threads, n_blocks)} blocks of labels"] = min(n_threads, n_blocks) * block
        check_memory("training", sum(parts.values()), "; ".join(f"{name}: {n:,} bytes" for name, n in parts.items()))

    def _solve(self, problems, scales, n_threads):
        """W, (n_classes, n_features) and feature-major, the intercepts, and the most iterations."""
        intercept = self.intercept_scaling if self.fit_intercept else None
        with shown_rows(problems.positives.shape[1], "solving", self.verbose, "labels") as show:
            W, bias, n_iter, n_left = one_vs_all.weights(
                problems, scales, intercept, self.min_weight, self.tol, self.max_iter, n_threads, show
            )
        if n_left:
            warn(
                f"{n_left} labels are not yet solved to tol={self.tol} after {n_iter} iterations: raise max_iter, lower C, or "
                "scale X",
                ConvergenceWarning,
            )
        return W, bias, n_iter

    # -- predictions --

    @with_numpys_defaults
    def predict_topk(self, X, k=5, *, classes=None, exclude=None, threshold=None):
        """The `k` best labels of each row and their logits, best first.

        Parameters
        ----------
        X : (n_samples, n_features) array or scipy.sparse matrix
        k, classes, exclude : as for `SoftmaxClassifier.predict_topk`
        threshold : float in (0, 1), optional
            The least marginal probability that a label must have; see `predict_marginals`.

        Returns
        -------
        labels : (n_samples, k) array
            Padded as those of `SoftmaxClassifier.predict_topk` are.
        logits : (n_samples, k) array
            Padding has -inf.
        """
        now = self._as_of_now()
        codes, logits, pads = now._topk(X, k, classes, exclude, threshold, normalise=False)
        if threshold is not None:
            low = logits < now._logit(threshold)
            codes[low], logits[low] = -1, -np.inf
        return labels_of(codes, now.classes_, pads=pads), logits

    @with_numpys_defaults
    def predict_marginals(self, X):
        """The probability of each label by itself, (n_samples, n_classes): those of a row need not add up to 1.

        With the logistic loss it is ``1 / (1 + exp(-z))``. With the squared hinge it is (1 + z) / 2, from 0 to 1, which the
        loss estimates (Zhang 2004, doi:10.1214/aos/1079120130).
        """
        logits = self._logits(X)
        if self.loss == "logistic":
            return expit(logits, out=logits)
        return np.clip((1 + logits) / 2, 0, 1, out=logits)

    def _logit(self, probability):
        """The logit of a marginal probability."""
        return logit(probability) if self.loss == "logistic" else 2 * probability - 1

    @with_numpys_defaults
    def decision_function(self, X):
        """All logits, (n_samples, n_classes); of two classes of which each row has one, that of the second, (n_samples,).

        It raises MemoryError before any work if they do not fit into memory.
        """
        logits = self._logits(X)
        return logits[:, 1].copy() if self._is_binary else logits

    @property
    def coef_(self):
        W = super().coef_
        return W[1:] if self._is_binary else W

    @property
    def intercept_(self):
        bias = super().intercept_
        return bias[1:] if self._is_binary else bias


def _indicator(target, counted, n_classes):
    """Which labels each row has, (n_samples, n_classes) CSR; `counted`: which rows have any."""
    if isinstance(target, targets.HardTargets):
        codes, lengths = target.codes, np.ones(len(target), np.int64)
    else:
        codes, lengths = target.masses.indices, np.diff(target.masses.indptr)
    if counted is not None:
        of_counted, lengths = lengths, np.zeros(len(counted), np.int64)
        lengths[counted] = of_counted
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((np.ones(len(codes), np.int8), codes, indptr), shape=(len(lengths), n_classes))


def model_of(W, bias):
    """The Model of weights (n_classes, n_features), an array or a canonical CSC array, and intercepts."""
    if sparse.issparse(W):
        return Model(W=W.data, bias=bias, pairs=Pairs.of(W))
    return Model(W=W, bias=bias)


def mirrored(W, bias):
    """The model of two classes from the weights of the second."""
    if sparse.issparse(W):
        return model_of(sparse.csc_array(sparse.vstack([-W, W], format="csc")), np.concatenate([-bias, bias]))
    return Model(W=np.asfortranarray(np.concatenate([-W, W])), bias=np.concatenate([-bias, bias]))
