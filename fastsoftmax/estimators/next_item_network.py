"""The low-rank model among the experts of a NextItemModel, over codes of items."""

import numpy as np
from scipy import sparse

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.passes.true_classes import logits_of_classes
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.terms import LowRank
from fastsoftmax.training.options import LEARNING_RATE

DENSE_FROM = 32  # a logit by itself takes as long as so many in a product of matrices
MOST_DENSE = 1 << 26  # logits in memory


class Network:
    """A SoftmaxClassifier of the next item, and the SequenceFeatures that make its rows.

    Its classes are those codes that occur after another item in training; it gives other items no probability.

    Parameters
    ----------
    features : SequenceFeatures, fitted
    classifier : SoftmaxClassifier, fitted, whose labels are codes of `features.items_`
    """

    def __init__(self, features, classifier):
        self.features, self.classifier = features, classifier
        self._class_of_item = np.full(len(features.items_), -1, np.int64)
        self._class_of_item[classifier.classes_] = np.arange(len(classifier.classes_))

    @classmethod
    def trained(cls, features, sequences, n_epochs, *, hidden_size, seed, n_threads, verbose):
        """The Network that learns from sequences, and whether it has done so to the end: Ctrl-C ends it, once it has begun."""
        histories, targets, _ = sequences.prefixes()
        classifier = SoftmaxClassifier(
            hidden_size=LowRank(hidden_size, normalize=True),
            direct=None,
            max_iter=n_epochs,
            random_state=seed,
            n_threads=n_threads,
            verbose=verbose,
        )
        X, is_whole = features.rows(histories), True
        try:
            classifier.fit(X, targets)
        except KeyboardInterrupt:
            if not hasattr(classifier, "classes_"):
                raise
            is_whole = False
        return cls(features, classifier), is_whole

    def grown(self, n_items, at, sequences, n_epochs, *, n_threads, verbose):
        """A Network for `n_items` items that has learned from further sequences, in so many epochs at a falling learning rate.

        at : (n,) int, ascending, the codes that the items of this network have now
        """
        features = SequenceFeatures(**self.features.get_params())
        features.items_ = np.arange(n_items)
        classifier = self.classifier._as_of_now()  # whose arrays stay as they are
        classifier._forget_training()  # and lists
        classifier._model, classifier._state = self.classifier._model.copy(), self.classifier._state.copy()
        classifier.set_params(n_threads=n_threads, verbose=verbose)
        if n_items > len(at):
            columns = np.arange(0, features.n_features_, n_items)[:, None] + at
            classifier._model.add_features(columns.ravel(), features.n_features_, classifier._state.rng)
            classifier.n_features_in_ = features.n_features_
            classifier.classes_ = at[classifier.classes_]
        histories, targets, _ = sequences.prefixes()
        if len(targets):
            new = np.setdiff1d(targets, classifier.classes_)
            if len(new):
                classifier.add_classes(new)
            X, rate = features.rows(histories), classifier.learning_rate
            for epoch in range(n_epochs):
                classifier.set_params(learning_rate=LEARNING_RATE * (1 - epoch / n_epochs))
                classifier.partial_fit(X, targets)
            classifier.set_params(learning_rate=rate)
        return Network(features, classifier)

    def proba_of(self, histories, items):
        """The probability of one item a row, (n_rows,) float64."""
        return np.exp(self.classifier.target_log_proba(self.features.rows(histories), items))

    def topk(self, histories, k, excluded=None):
        """The best items of each row and the log-probabilities, (n_rows, k), -1 and -inf as padding; and `Logits`.

        excluded : (indptr, items), the items that each row may not get, or None
        """
        X = self.features.rows(histories)
        exclude = None if excluded is None else self._matrix(*excluded)
        k = min(k, len(self.classifier.classes_))
        codes, log_proba = self.classifier.predict_topk(X, k, exclude=exclude)
        none_left = np.flatnonzero(log_proba[:, 0] == -np.inf)
        best, of_best = codes[:, 0].copy(), log_proba[:, 0].copy()
        if len(none_left):
            best[none_left], of_best[none_left] = (a[:, 0] for a in self.classifier.predict_topk(X[none_left], 1))
        codes[log_proba == -np.inf] = -1
        return codes, log_proba, Logits(self, X, best, of_best)

    def _matrix(self, indptr, items):
        """An indicator of the classes of these items, CSR (n_rows, n_classes)."""
        classes = self._class_of_item[items]
        row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[classes >= 0]
        shape = len(indptr) - 1, len(self.classifier.classes_)
        return sparse.csr_array((np.ones(len(row), np.float32), (row, classes[classes >= 0])), shape=shape)


class Logits:
    """The probabilities of any items of some rows, from the hidden layer of the rows, which is computed once.

    Parameters
    ----------
    network : Network
    X : CSR rows
    items, log_proba : (n_rows,) one class of each row, and its log-probability, which tells the row's log-sum-exp
    """

    def __init__(self, network, X, items, log_proba):
        self._class_of_item, self._model = network._class_of_item, network.classifier._model
        rows = np.arange(X.shape[0])
        self._hidden = np.array(network.classifier._runner(X).hidden(rows))
        self._lse = self._logits(rows, self._class_of_item[items]) - log_proba

    def _logits(self, rows, classes):
        n_rows, n_classes = len(self._hidden), len(self._model.V)
        if n_rows == 1:  # which needs no copy for each class
            with np.errstate(invalid="ignore"):  # BLAS may compute with what lies beyond short rows, and drop it
                logits = self._model.V[classes] @ self._hidden[0]
        elif len(classes) * DENSE_FROM > n_rows * n_classes and n_rows * n_classes <= MOST_DENSE:
            logits = (self._hidden @ self._model.V.T)[rows, classes]
        else:
            logits = logits_of_classes(self._hidden, self._model.V, rows, classes)
        return logits + self._model.bias[classes]

    def proba(self, rows, items):
        """The probability of each of these items of these rows, float64; 0 for items that are no classes."""
        classes = self._class_of_item[items]
        known = classes >= 0
        out = np.zeros(len(items))
        rows = rows[known]
        out[known] = np.exp(self._logits(rows, classes[known]) - self._lse[rows])
        return out
