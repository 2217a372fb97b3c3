"""What a trained SoftmaxClassifier does: predictions and probabilities over all classes, and its weights as attributes."""

import numpy as np

from fastsoftmax import _targets, _threads
from fastsoftmax import _validation as v
from fastsoftmax._runner import Runner
from fastsoftmax._sparse_runner import SparseRunner


class Prediction:
    """Methods and attributes of a classifier that has `_model`, a Model, and `classes_`."""

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
        """Natural logarithm of the probability of each row's own label (n_samples,); -inf for labels not in `classes_`.

        Of masses of classes as `fit` takes them, the mean over a row's classes; nan for rows without any, and for those
        whose label is `ignore_label`.
        """
        runner = self._runner_for(X)
        n_rows = runner.X.shape[0]
        y, counted = v.check_targets(y, n_rows, self.ignore_label)
        if counted is not None:
            runner = self._runner(runner.X[counted])
        target = _targets.encode(y, self.classes_, unknown=-1)
        log_proba = np.where(target.codes < 0, -np.inf, -target.nll(runner))
        if counted is None:
            return log_proba
        out = np.full(n_rows, np.nan)
        out[counted] = log_proba
        return out

    def score(self, X, y, sample_weight=None):
        """The accuracy: the share of rows, by weight, whose most probable label is theirs.

        Of masses of classes, the mean of the predicted class's mass over the largest of its row: of an indicator that is
        precision at 1, the share of rows whose most probable class is one of theirs. Rows that are ignored in training do
        not count.
        """
        runner = self._runner_for(X)
        y, counted = v.check_targets(y, runner.X.shape[0], self.ignore_label)
        weight = v.check_sample_weight(sample_weight, runner.X.shape[0], counted)
        if counted is not None:
            runner = self._runner(runner.X[counted])
        v.check_some_rows(runner.X)
        target = _targets.encode(y, self.classes_, unknown=-1)
        return float(np.average(target.hits(runner.topk(1)[0][:, 0]), weights=weight))

    # -- weights --

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

    # -- rows through a model --

    def _runner(self, X, model=None, kind=None, **kwargs):
        """A Runner of the model, or of another one, over checked X; `kind` and kwargs: another class and what it takes."""
        model = self._model if model is None else model
        n_threads = _threads.resolve(v.check_n_threads(self.n_threads))
        kind = kind or (SparseRunner if model.pattern is not None and model.E is None else Runner)
        return kind(model, X, n_threads=n_threads, working_memory=self.working_memory, **kwargs)
