"""scikit-learn: exact multinomial regression, and one-versus-rest by stochastic gradient descent or LIBLINEAR."""

import pickle

import numpy as np

from .base import System, best_classes, fit_quietly, inverse_penalty, scores_at

MAX_WEIGHTS_LOGISTIC = 2e8  # float64 weights times L-BFGS's twenty copies of them
MAX_WEIGHTS_SGD = 1e9
MAX_CLASSES_SVC = 2000


class _Linear(System):
    environment = "fastsoftmax"  # which depends on it
    packages = ("scikit-learn",)

    def prepare(self):
        import sklearn.linear_model  # noqa: F401

        self.X, self.y = self.problem.train.one_label_a_row()
        if self.problem.kind == "dense":
            self.X = self.X.toarray()

    def predict_topk(self, rows, k):
        return best_classes(self.model.predict_proba, rows, k, self.model.classes_)

    def target_log_proba(self, X, class_ids):
        with np.errstate(divide="ignore"):
            return np.log(scores_at(self.model.predict_proba, X, class_ids, self.model.classes_))

    def save(self, path):
        path.write_bytes(pickle.dumps(self.model))


class LogisticRegression(_Linear):
    name = "scikit-learn LogisticRegression"
    budgets, budget = (5, 20, 100), 100
    stops_early = True
    settings = "solver lbfgs, C=1 (dense) or 10 (sparse), max_iter=100, float32"

    @classmethod
    def why_not(cls, problem):
        weights = problem["n_classes"] * problem["n_features"]
        if weights > MAX_WEIGHTS_LOGISTIC:
            return f"{weights:.1e} weights and L-BFGS's copies of them do not fit"
        return ""

    def fit(self):
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression(C=inverse_penalty(self.problem), max_iter=self.budget)
        fit_quietly(self.model, self.X, self.y)


class SGDClassifier(_Linear):
    name = "scikit-learn SGDClassifier"
    budgets, budget = (1, 5, 1000), 1000
    stops_early = True
    settings = "loss log_loss (one-versus-rest), alpha 1e-4 (dense) or 1e-6 (sparse), max_iter=1000, n_jobs = threads"

    @classmethod
    def why_not(cls, problem):
        weights = problem["n_classes"] * problem["n_features"]
        return f"{weights:.1e} float64 weights do not fit" if weights > MAX_WEIGHTS_SGD else ""

    def fit(self):
        from sklearn.linear_model import SGDClassifier

        alpha = 1e-4 if self.problem.kind == "dense" else 1e-6
        self.model = SGDClassifier(
            loss="log_loss", alpha=alpha, max_iter=self.budget, n_jobs=self.n_threads, random_state=self.seed
        )
        fit_quietly(self.model, self.X, self.y)


class LinearSVC(_Linear):
    name = "scikit-learn LinearSVC"
    settings = "OneVsRestClassifier(LinearSVC()) with their defaults (squared hinge, C=1), n_jobs = threads"

    @classmethod
    def why_not(cls, problem):
        n_classes = problem["n_classes"]
        return f"{n_classes:,} classes, one after another" if n_classes > MAX_CLASSES_SVC else ""

    def prepare(self):
        import sklearn.multiclass
        import sklearn.svm  # noqa: F401

        self.X, self.y = self.problem.train.X, self.problem.train.indicator(self.problem.n_classes)
        if self.problem.kind == "dense":
            self.X = self.X.toarray()

    def fit(self):
        from joblib import parallel_config
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.svm import LinearSVC

        self.model = OneVsRestClassifier(LinearSVC(random_state=self.seed), n_jobs=self.n_threads)
        with parallel_config("threading"):  # which LIBLINEAR can use; time and memory of processes would not be seen
            fit_quietly(self.model, self.X, self.y)

    def predict_topk(self, rows, k):
        classes = np.arange(self.problem.n_classes)
        return best_classes(self.model.decision_function, rows, k, classes)[0], None  # margins

    def target_log_proba(self, X, class_ids):
        return None


SYSTEMS = (LogisticRegression, SGDClassifier, LinearSVC)
