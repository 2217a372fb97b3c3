"""The base class of fitted softmax models: probabilities over all classes, which add up to 1."""

import numpy as np

from fastsoftmax.estimators.model_estimator import ModelEstimator
from fastsoftmax.estimators.together import by_all_ranks
from fastsoftmax.functional import log_softmax, softmax
from fastsoftmax.passes.eligible import labels_of
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.text.encoding import Encoding


class SoftmaxEstimator(ModelEstimator):
    """A ModelEstimator whose probabilities are the softmax of its logits.

    It keeps what made the columns of X where it was given that with `save`. If that made them of texts, X may be texts, too.
    """

    encoding_ = Encoding()  # of a model that no file was read for

    @property
    def vectorizer_(self):
        return self.encoding_.made_by

    @with_numpys_defaults
    def predict_topk(self, X, k=5, *, classes=None, exclude=None, threshold=None):
        """The `k` most probable labels of each row and their log-probabilities, best first.

        Parameters
        ----------
        X : (n_samples, n_features) array or scipy.sparse matrix
            With a `vectorizer_` of texts, X may be n_samples texts too, here and in all that takes rows of a fitted model.
        k : int
            How many labels to return, in [1, n_classes]; with `classes`, `exclude` or `threshold` it may be larger.
        classes : 1-D array of labels, optional
            The labels to choose among, all in `classes_`; repeated labels count once.
        exclude : (n_samples, n_classes) scipy.sparse matrix, or sequence of n_samples arrays of labels, optional
            Labels that row i must not get, for example the items that a user has already. In a matrix, with columns as in
            `classes_`, they are those with a stored element in row i, whatever its value. In a sequence, they are those in
            array i, in any order; padding in it is ignored, so earlier results can be passed as they are.
        threshold : float in (0, 1), optional
            The least probability that a label must have.

        Returns
        -------
        labels : (n_samples, k) array
            Among equal probabilities, the first in `classes_` comes first. With `classes`, `exclude` or `threshold`, rows
            with fewer than `k` labels left are padded: with -1, or with "" for strings, b"" for bytes, NaT for dates and
            None for other objects. Labels that are bools or unsigned integers are then returned as int64.
        log_proba : (n_samples, k) array
            Natural logarithms of the probabilities over all classes, whichever are left. Padding has -inf, which tells it
            from labels even where -1 or "" is a label.

        Notes
        -----
        Log-sum-exps are over all classes, so a subset costs no less than all of them.
        """
        now = self._as_of_now()
        codes, log_proba, pads = now._topk(X, k, classes, exclude, threshold)
        return labels_of(codes, now.classes_, pads=pads), log_proba

    @with_numpys_defaults
    @by_all_ranks
    def predict_proba(self, X):
        """Probabilities of all classes, (n_samples, n_classes), with columns as in `classes_`."""
        logits = self._logits(X)
        return softmax(logits, axis=1, out=logits, n_threads=self.n_threads)

    @with_numpys_defaults
    @by_all_ranks
    def predict_log_proba(self, X):
        """Natural logarithms of the probabilities of all classes, (n_samples, n_classes), with columns as in `classes_`."""
        logits = self._logits(X)
        return log_softmax(logits, axis=1, out=logits, n_threads=self.n_threads)

    @with_numpys_defaults
    @by_all_ranks
    def target_log_proba(self, X, y):
        """Natural logarithm of the probability of each row's own label, (n_samples,); -inf for labels not in `classes_`.

        If `y` holds several labels a row or masses, as `fit` takes them, it is the mean over a row's classes by mass. It is
        nan for rows without any label or mass, and for rows whose label is `ignore_label`.
        """
        runner, target, counted, own = self._rows_that_count(X, y)
        log_proba = target.log_proba(runner)[own]
        if counted is None:
            return log_proba
        out = np.full(len(counted), np.nan)
        out[counted] = log_proba
        return out

    def _log_proba_of(self, runner, codes):
        return -runner.nll(codes)
