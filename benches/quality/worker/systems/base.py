"""What a system must be able to do to be compared."""

import os
import warnings
from itertools import pairwise

import numpy as np


class System:
    """One way to classify, with its documented best settings for the size of the problem.

    The process that plans the runs imports the modules of all systems, and the peers need not be installed in its environment:
    that is why methods import the packages.

    Attributes
    ----------
    name : str
    environment : str
        Key of `environments.REQUIREMENTS`.
    packages : tuple of str
        Names of the distributions whose versions are reported.
    budgets : tuple of numbers
        Amounts of training (epochs, passes, iterations), ascending, for quality over time; empty if there is nothing to set.
    budget : number or None
        The amount to compare by.
    one_thread : bool
        Whether it trains on one thread, whatever it is told.
    stops_early : bool
        Whether it stops by itself when more training would not help, so that time does not grow with the budget.
    settings : str
        The settings, in the system's own terms, for the report.
    """

    name = environment = settings = ""
    packages = ()
    budgets = ()
    budget = None
    one_thread = False
    stops_early = False

    @classmethod
    def why_not(cls, problem):
        """Say why it cannot do a problem, given what `Problem.summary` returns; "" if it can."""
        return ""

    def __init__(self, problem, *, n_threads, seed, budget, folder):
        self.problem = problem
        self.n_threads, self.seed, self.budget, self.folder = n_threads, seed, budget, folder

    def prepare(self):
        """Import the system and turn the problem into what `fit` takes (files, other types): not timed."""

    def fit(self):
        """Train: timed."""
        raise NotImplementedError

    def prepare_predictions(self, X):
        """Turn rows (CSR) into what `predict_topk` takes: not timed."""
        return X

    def predict_topk(self, rows, k):
        """Return the k best classes of rows, best first: timed.

        Returns
        -------
        class_ids : ndarray of int, shape (n_rows, <= k)
            -1 stands where there is no further class.
        proba : ndarray of float or None
            Their probabilities under a distribution over all classes; None if the system has none.
        """
        raise NotImplementedError

    def target_log_proba(self, X, class_ids):
        """Return the log-probability of one given class of each row, or None if it has no distribution over all classes.

        Parameters
        ----------
        X : csr_matrix
        class_ids : ndarray of int64, all from 0 to n_classes - 1
        """
        return None

    def save(self, path):
        """Write the model to a file or a new folder, whose size counts."""
        raise NotImplementedError


def top_of_dense(scores, k):
    """Return class ids (n, k) and scores of the k largest scores of each row, largest first."""
    k = min(k, scores.shape[1])
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)


def rectangle(rows, k):
    """Turn lists of class ids into an array (n, k), with -1 where a list is shorter."""
    class_ids = np.full((len(rows), k), -1, np.int64)
    for out, row in zip(class_ids, rows, strict=True):
        out[: len(row)] = row
    return class_ids


def blocks(n_rows, n_classes, max_elements=1 << 25):
    """Yield slices of rows that have at most `max_elements` scores, of all classes, together."""
    size = max(1, max_elements // max(1, n_classes))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def best_classes(scores_of, rows, k, classes):
    """Return the k best classes of each row, best first, and their scores.

    Parameters
    ----------
    scores_of : function of some rows that returns the scores of `classes`, in that order, as columns
    """
    found = [top_of_dense(scores_of(rows[b]), k) for b in blocks(rows.shape[0], len(classes))]
    columns, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return classes[columns], values


def scores_at(scores_of, rows, class_ids, classes):
    """Return the score of one given class of each row; the other parameters are those of `best_classes`."""
    columns, found = columns_of(classes)[class_ids], []
    for b in blocks(len(class_ids), len(classes)):
        scores = scores_of(rows[b])
        found.append(scores[np.arange(len(scores)), columns[b]])
    return np.concatenate(found)


def columns_of(classes):
    """Return where each class id stands in `classes`, which has all of them in some order."""
    columns = np.empty(len(classes), np.int64)
    columns[classes] = np.arange(len(classes))
    return columns


def log_softmax(scores):
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def inverse_penalty(problem):
    """Return C of the linear models with an L2 penalty, which is weaker for sparse rows."""
    return 1.0 if problem.kind == "dense" else 10.0


def fit_quietly(model, X, y):
    """Fit a scikit-learn model without a warning: a small budget is not meant to converge."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)


def rows_as_text(X):
    """Yield the entries of each CSR row as "feature:value" with spaces between."""
    ids, values = X.indices.tolist(), X.data.tolist()
    for a, b in pairwise(X.indptr.tolist()):
        yield " ".join([f"{i}:{v:.6g}" for i, v in zip(ids[a:b], values[a:b], strict=True)])


def bytes_of(path):
    """Return the size of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(path) for name in names)


def is_multi_label(summary):
    """Whether a problem has rows with several labels or none, judging by its summary."""
    return summary["labels_a_row"] != 1
