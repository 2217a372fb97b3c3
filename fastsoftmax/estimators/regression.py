"""SoftmaxRegression: multinomial logistic regression, solved to its optimum."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastsoftmax.estimators import regression_saving
from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.model.model import Model
from fastsoftmax.newton import solvers
from fastsoftmax.newton.loss import FEW_CLASSES, DenseProducts, RegressionLoss, SparseProducts
from fastsoftmax.newton.scaling import scaling_for
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.exclusive import exclusive
from fastsoftmax.runtime.progress import say, shown_iterations
from fastsoftmax.runtime.warning import warn
from fastsoftmax.text.encoding import Encoding
from fastsoftmax.validation import (
    check_memory,
    check_n_threads,
    check_not_compact,
    check_regression_params,
    check_regression_rows,
    check_same_problem,
    feature_names,
)

__all__ = ["SoftmaxRegression"]

LARGE = 1 << 20  # from this many parameters on, Newton's steps are solved for in float32; gradients stay exact
LBFGS_ARRAYS = 28  # float64 arrays like the parameters that L-BFGS takes: ten pairs, and its workspace
NEWTON_ARRAYS, STEP_ARRAYS = 5, 7  # arrays like the parameters that Newton's method takes, in their type and the steps'


class SoftmaxRegression(SoftmaxEstimator):
    """Multinomial logistic regression with an L2 penalty, dense or sparse, solved to its optimum.

    It minimises ``C sum_i s_i nll_i + 1/2 ||coef||^2`` over weights and intercept, as
    sklearn.linear_model.LogisticRegression does. The result is deterministic, the same to the bit for any `n_threads`.
    "newton-cg" holds an array of n_samples x n_classes; all memory is forecast before anything is allocated.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty; with ``inf`` there is none. Sparse rows of unit length need more than 1, such as 10.
    tol : float
        `fit` stops when no element of the gradient of the mean loss (the above divided by ``C sum_i s_i``) is larger, or
        when the loss cannot fall by more than its rounding errors.
    max_iter : int
        The most iterations of the solver.
    solver : {"auto", "lbfgs", "newton-cg"}
        "lbfgs" is SciPy's L-BFGS. "newton-cg" is Newton's method with conjugate gradients, which needs a fraction of the
        memory where there are many parameters. "auto" takes the faster one: "newton-cg" for sparse X, else "lbfgs".
    fit_intercept : bool
        Whether there is an intercept. It is not penalised.
    class_weight : dict, "balanced" or None
        Factors of the rows' weights by label. "balanced" stands for n_samples / (n_classes count), as in scikit-learn.
    warm_start : bool
        Whether `fit` starts at the solution of the last `fit`, which must have had the same classes and features.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.
    verbose : int
        1 shows the loss and the largest element of the gradient of each iteration.

    Attributes
    ----------
    classes_ : (n_classes,) array of the labels, sorted
    coef_ : (n_classes, n_features) array; for two classes (1, n_features), the weights of the second less the first's
    intercept_ : (n_classes,) array, or (1,) for two classes; zeros without `fit_intercept`
    n_iter_ : (1,) int array, iterations done
    n_features_in_, feature_names_in_ : as in scikit-learn
    vectorizer_ : the TextVectorizer that `save` was given, with which predictions take texts; None without one

    Notes
    -----
    The softmax does not change if the same vector is added to the weights of all classes. The penalty makes the weights sum
    to zero over the classes. Without a penalty (``C=inf``), weights that do so are returned as well, and the intercepts
    always sum to zero. Without a penalty there is no optimum where classes can be separated, or where a label has weight
    zero: the weights grow until `tol` or `max_iter` is reached. Two classes are penalised as in logistic regression, whose
    only weight vector is ``coef_``.

    L-BFGS and conjugate gradients work in variables in which the Hessian at the class frequencies is nearly the identity, so
    features need no scaling. float32 input is computed in float32, and can then reach a `tol` of about 1e-6.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> round(SoftmaxRegression().fit(X, y).score(X, y), 2)
    0.97
    """

    def __init__(
        self,
        C=1.0,
        tol=1e-4,
        max_iter=100,
        solver="auto",
        fit_intercept=True,
        class_weight=None,
        warm_start=False,
        n_threads=None,
        verbose=0,
    ):
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.n_threads = n_threads
        self.verbose = verbose

    @exclusive
    @with_numpys_defaults
    def fit(self, X, y, sample_weight=None):
        """Find the optimum. If it is interrupted (Ctrl-C), what was fitted before stays.

        Parameters
        ----------
        X : (n_samples, n_features) array or scipy.sparse matrix
            float32 or float64; other types become float64.
        y : (n_samples,) array of labels of any kind that SoftmaxClassifier takes, one a row
        sample_weight : (n_samples,) array, optional
            Weights of the rows' losses, at least 0, with a finite sum. Their scale matters: twice the weights are twice C.

        Returns
        -------
        self

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` iterations did not reach `tol`, or rounding errors hid any further decrease before.
        """
        check_regression_params(self)
        names = feature_names(X)
        say("encoding the labels", self.verbose, n_rows=(getattr(X, "shape", ()) or (0,))[0])
        X, classes, codes, weight, total = check_regression_rows(self, X, y, sample_weight)
        n_threads = threads.resolve(check_n_threads(self.n_threads))
        alpha = 1 / (float(self.C) * float(total))
        alpha *= 2 if len(classes) == 2 else 1  # the weights are two vectors, each of half the length
        weight /= total
        with threads.one_blas_thread():
            theta, n_iter = self._solve(X, codes, weight, alpha, classes, n_threads)
        model = Model(W=theta[:-1].T, bias=theta[-1].copy())
        n_iter = np.array([n_iter], np.int32)
        self._set_fitted(
            _model=model, classes_=classes, n_features_in_=X.shape[1], n_iter_=n_iter, encoding_=Encoding()
        )
        self._name_features(names)
        return self

    def _solve(self, X, codes, weight, alpha, classes, n_threads):
        n_classes, dtype = len(classes), X.dtype
        shape = X.shape[1] + 1, n_classes
        is_sparse = not isinstance(X, np.ndarray)
        solver = self.solver
        if solver == "auto":
            solver = "newton-cg" if is_sparse else "lbfgs"
        product_dtype = np.dtype(np.float32) if is_sparse and shape[0] * shape[1] >= LARGE else dtype
        self._check_memory(solver, X, shape, dtype, product_dtype, n_threads)
        frequencies = np.bincount(codes, weights=weight, minlength=n_classes)
        frequencies = np.maximum(frequencies, 0.5 / len(codes))
        theta = self._start(classes, shape, np.log(frequencies / frequencies.sum()), dtype)
        products = (SparseProducts if is_sparse else DenseProducts)(X, n_classes, n_threads)
        options = {"has_bias": self.fit_intercept, "keep": solver == "newton-cg", "product_dtype": product_dtype}
        loss = RegressionLoss(products, codes, weight, alpha, shape, dtype, **options)
        say("scaling the features", self.verbose, n_rows=X.shape[0])
        scaling = scaling_for(
            X,
            weight,
            frequencies / frequencies.sum(),
            alpha,
            product_dtype,
            has_bias=self.fit_intercept,
            n_threads=n_threads,
        )
        with shown_iterations(self.max_iter, self.verbose) as watch:
            search = {"tol": self.tol, "max_iter": self.max_iter, "watch": watch}
            if solver == "newton-cg":
                n_iter, converged = solvers.newton_cg(loss, theta, scaling, n_threads=n_threads, **search)
            else:
                n_iter, converged = solvers.lbfgs(loss, theta, scaling, **search)
        theta -= theta.mean(axis=1, keepdims=True)
        if not converged:
            warn(self._not_converged(n_iter), ConvergenceWarning)
        return theta, n_iter

    def _not_converged(self, n_iter):
        """What to say and to do where the solver stopped before the gradient was small."""
        still = f"the gradient is not yet below tol={self.tol} after {n_iter} iterations"
        first = "raise max_iter"
        if n_iter < self.max_iter:
            still, first = f"{still}, and rounding hides what more of them could gain", "raise tol"
        return (
            f"{still}: {first}, lower C where classes can be separated, or scale X where it has very large or very small "
            "values"
        )

    def _start(self, classes, shape, log_frequencies, dtype):
        """The parameters to start at: zero weights and the log class frequencies, or the model so far."""
        theta = np.zeros(shape, dtype)
        if self.warm_start and hasattr(self, "_model"):
            W, bias = self._model.W, self._model.bias
            check_not_compact(self._model, "warm_start")
            check_same_problem(self, classes, shape[0] - 1)
            theta[:-1] = W.T
            if self.fit_intercept:
                theta[-1] = bias
        elif self.fit_intercept:
            theta[-1] = log_frequencies
        return theta

    def _check_memory(self, solver, X, shape, dtype, product_dtype, n_threads):
        """Raise MemoryError where there is too little memory for what `_solve` will allocate."""
        sizes, n_params = (dtype.itemsize, product_dtype.itemsize), shape[0] * shape[1]
        arrays = f"of ({X.shape[1]:,} features + 1) x {shape[1]:,} classes"
        if solver == "newton-cg":
            parts = {
                f"{NEWTON_ARRAYS} arrays {arrays} x {sizes[0]} bytes": NEWTON_ARRAYS * n_params * sizes[0],
                f"{STEP_ARRAYS} x {sizes[1]} bytes": STEP_ARRAYS * n_params * sizes[1],
                f"{X.shape[0]:,} rows x {shape[1]:,} classes x {sizes[1]} bytes": X.shape[0] * shape[1] * sizes[1],
            }
        else:
            parts = {f"{LBFGS_ARRAYS} arrays {arrays} x 8 bytes": LBFGS_ARRAYS * n_params * 8}
        if not isinstance(X, np.ndarray):
            parts["copies of X"] = X.nnz * (8 + 2 * (sizes[0] + (sizes[1] if sizes[1] != sizes[0] else 0)))
        if isinstance(X, np.ndarray) or shape[1] < FEW_CLASSES:
            parts["gradients of chunks of rows"] = (2 * n_threads + 1) * n_params * sizes[0]
        check_memory(f"training with solver={solver!r}", sum(parts.values()), "; ".join(parts))

    # -- files --

    @exclusive
    def save(self, path, *, vectorizer=None):
        """Write the model to file `path`: safetensors with checksums, nothing executable. `fastsoftmax.load` reads it.

        vectorizer : the `features.TextVectorizer` that made X of texts, to be kept as `vectorizer_`, here and in the file
        """
        self._fitted_model()
        regression_saving.save(self, path, vectorizer)

    @classmethod
    def load(cls, path, *, memory_map=False):
        """The SoftmaxRegression that `save` wrote to file `path`; `memory_map` : as for `fastsoftmax.load`."""
        return regression_saving.load(cls, path, memory_map=memory_map)

    # -- the fitted model --

    @property
    def coef_(self):
        W = self._weights("W")
        return W if len(W) > 2 else W[1:] - W[:1]

    @property
    def intercept_(self):
        bias = self._weights("bias")
        return bias if len(bias) > 2 else bias[1:] - bias[:1]
