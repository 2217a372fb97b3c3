"""LIBLINEAR: L2-regularised logistic regression, one-versus-rest, and Crammer and Singer's multi-class support vector machine.

Its Python `predict` takes one row after another; here a single product with the model's own weights gives the same scores many
times faster. Probabilities are those of its option -b 1: the logistic ones of the classes, divided by their sum.
"""

import numpy as np

from .base import System, best_classes, inverse_penalty, is_multi_label, scores_at

MAX_WEIGHTS = 5e8  # float64
# Entries times classes, since one-versus-rest passes over all entries for each class. On a 2-core AVX-512 machine each took
# 1.6e-7 s in all iterations together, so that 3e9 take eight minutes.
MAX_VISITS = 3e9


class _Liblinear(System):
    environment = "liblinear"
    packages = ("liblinear-official",)
    one_thread = stops_early = True
    budgets = (1, 2, 3)  # the tolerance (option -e) is 10^-budget, which stands for iterations

    @classmethod
    def why_not(cls, problem):
        if is_multi_label(problem):
            return "one label a row only"
        weights = float(problem["n_classes"]) * problem["n_features"]
        if weights > MAX_WEIGHTS:
            return f"{weights:.1e} float64 weights do not fit"
        visits = problem["n_train"] * problem["entries_a_row"] * problem["n_classes"]
        return f"{visits:.0e} visits of entries an iteration" if visits > MAX_VISITS else ""

    def prepare(self):
        from liblinear import liblinearutil

        self.library = liblinearutil
        train = self.problem.train
        self.data = liblinearutil.problem(train.labels.astype(np.float64), train.X)

    def fit(self):
        self.model = self.library.train(
            self.data, f"-s {self.solver} -c {inverse_penalty(self.problem)} -B 1 -e {10.0**-self.budget} -q"
        )
        is_pair = (
            self.model.nr_class == 2 and self.solver != CrammerSinger.solver
        )  # it has the weights of the first alone
        shape = (self.model.nr_feature + 1, 1 if is_pair else self.model.nr_class)
        weights = np.ctypeslib.as_array(self.model.w, shape=shape)
        self.weights = np.hstack([weights, -weights]) if is_pair else weights
        self.classes = np.array(self.model.get_labels(), np.int64)

    def _scores(self, X):
        return X[:, : len(self.weights) - 1] @ self.weights[:-1] + self.weights[-1]

    def _ranked(self, X):
        return self._scores(X)

    def predict_topk(self, rows, k):
        return best_classes(self._ranked, rows, k, self.classes)

    def save(self, path):
        self.library.save_model(str(path), self.model)


class Logistic(_Liblinear):
    name = "LIBLINEAR logistic"
    budget = 2
    solver = 0
    settings = "-s 0 (L2, one-versus-rest), -c 1 (dense) or 10 (sparse), -B 1, -e 0.01; probabilities as of -b 1"

    def _ranked(self, X):
        proba = np.exp(-np.logaddexp(0.0, -self._scores(X)))
        return proba / proba.sum(axis=1, keepdims=True)

    def target_log_proba(self, X, class_ids):
        with np.errstate(divide="ignore"):
            return np.log(scores_at(self._ranked, X, class_ids, self.classes))


class CrammerSinger(_Liblinear):
    name = "LIBLINEAR Crammer-Singer"
    budget = 1
    solver = 4
    settings = "-s 4, -c 1 (dense) or 10 (sparse), -B 1, -e 0.1"

    def predict_topk(self, rows, k):
        return super().predict_topk(rows, k)[0], None  # margins


SYSTEMS = (Logistic, CrammerSinger)
