"""fastsoftmax, in the ways that it can be used: by its defaults, but for what the name says."""

import pickle

import numpy as np

from .base import System, fit_quietly, inverse_penalty

MAX_FULL = 3e13  # multiply-adds of logits in ten epochs of full softmax with hidden size 128: some minutes
MAX_DENSE_WEIGHTS = 1e9
# Entries times classes, as OneVsAllClassifier passes over all entries for each class. On two cores, 5e8 took 12 s, so
# that 3e10 take twelve minutes.
MAX_VISITS = 3e10


class _Classifier(System):
    environment = "fastsoftmax"
    packages = ("fastsoftmax",)
    budgets, budget = (1, 3, 10), 10

    def prepare(self):
        from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression  # noqa: F401  # imported when first used

        self.X, self.y = self.problem.train.X, self.problem.train.labels
        if self.problem.is_multi_label:
            self.y = self.problem.train.indicator(self.problem.n_classes)
        if self.problem.kind == "dense":
            self.X = self.X.toarray()

    def parameters(self):
        raise NotImplementedError

    def fit(self):
        from fastsoftmax import SoftmaxClassifier

        self.model = SoftmaxClassifier(
            max_iter=self.budget, random_state=self.seed, n_threads=self.n_threads, **self.parameters()
        )
        self.model.fit(self.X, self.y)

    def prepare_predictions(self, X):
        return X.toarray() if self.problem.kind == "dense" else X

    def predict_topk(self, rows, k):
        class_ids, log_proba = self.model.predict_topk(rows, min(k, len(self.model.classes_)))
        return class_ids, np.exp(log_proba)

    def target_log_proba(self, X, class_ids):
        return self.model.target_log_proba(self.prepare_predictions(X), class_ids)

    def save(self, path):
        self.model.save(path)


class Defaults(_Classifier):
    name = "fastsoftmax defaults"
    budgets, budget = (), None
    settings = "SoftmaxClassifier()"

    def fit(self):
        from fastsoftmax import SoftmaxClassifier

        self.model = SoftmaxClassifier(random_state=self.seed, n_threads=self.n_threads)
        self.model.fit(self.X, self.y)


class Sampled(_Classifier):
    name = "fastsoftmax sampled"
    settings = 'loss="sampled_softmax", hidden_size=128'

    def parameters(self):
        return {"loss": "sampled_softmax", "hidden_size": 128, "direct": None}


class Full(_Classifier):
    name = "fastsoftmax full"
    settings = 'loss="softmax", hidden_size=128'

    @classmethod
    def why_not(cls, problem):
        work = problem["n_train"] * problem["n_classes"] * 128.0 * cls.budget
        return f"{work:.0e} multiply-adds of logits in {cls.budget} epochs" if work > MAX_FULL else ""

    def parameters(self):
        return {"loss": "softmax", "hidden_size": 128, "direct": None}


class Linear(_Classifier):
    name = "fastsoftmax linear"
    settings = 'loss="softmax", direct="dense", hidden_size=None'

    @classmethod
    def why_not(cls, problem):
        weights = problem["n_classes"] * problem["n_features"]
        return (
            f"{weights:.1e} weights, and as many of its optimiser's, do not fit" if weights > MAX_DENSE_WEIGHTS else ""
        )

    def parameters(self):
        return {"loss": "softmax", "hidden_size": None, "direct": "dense"}


class SparsePairs(_Classifier):
    name = "fastsoftmax sparse"
    budgets, budget = (1, 3, 10), 3
    settings = 'direct="sparse", hidden_size=None'

    @classmethod
    def why_not(cls, problem):
        return "for sparse rows" if problem["kind"] == "dense" else ""

    def parameters(self):
        return {"direct": "sparse", "hidden_size": None, "objective": "recall"}


class SparseAndLowRank(SparsePairs):
    name = "fastsoftmax sparse + low rank"
    budgets, budget = (1, 3, 10), 10
    settings = 'direct="sparse", hidden_size=128'

    def parameters(self):
        return {"direct": "sparse", "hidden_size": 128, "objective": "recall"}


class Regression(_Classifier):
    name = "fastsoftmax SoftmaxRegression"
    budgets, budget = (1, 3, 100), 100
    stops_early = True
    settings = "C=1 (dense) or 10 (sparse), max_iter=100"

    @classmethod
    def why_not(cls, problem):
        weights = problem["n_classes"] * problem["n_features"]
        return f"{weights:.1e} weights and its solver's copies of them do not fit" if weights > 2e8 else ""

    def prepare(self):
        super().prepare()
        if self.problem.is_multi_label:
            self.X, self.y = self.problem.train.one_label_a_row()
            self.X = self.X.toarray() if self.problem.kind == "dense" else self.X

    def fit(self):
        from fastsoftmax import SoftmaxRegression

        C = inverse_penalty(self.problem)
        self.model = SoftmaxRegression(C=C, max_iter=self.budget, n_threads=self.n_threads)
        fit_quietly(self.model, self.X, self.y)

    def save(self, path):
        path.write_bytes(pickle.dumps(self.model))


class OneVsAll(_Classifier):
    name = "fastsoftmax OneVsAllClassifier"
    budgets, budget = (), None
    settings = "its defaults (squared hinge, C=1, tol=0.01); above 1e9 weights min_weight=0.01"

    @classmethod
    def why_not(cls, problem):
        visits = problem["n_train"] * problem["entries_a_row"] * problem["n_classes"]
        return f"{visits:.0e} visits of entries an iteration" if visits > MAX_VISITS else ""

    def fit(self):
        from fastsoftmax import OneVsAllClassifier

        fits = self.problem.n_classes * self.problem.n_features <= MAX_DENSE_WEIGHTS
        self.model = OneVsAllClassifier(min_weight=0.0 if fits else 0.01, n_threads=self.n_threads)
        self.model.fit(self.X, self.y)

    def predict_topk(self, rows, k):
        return self.model.predict_topk(rows, min(k, self.problem.n_classes))[0], None  # margins

    def target_log_proba(self, X, class_ids):
        return None

    def save(self, path):
        path.write_bytes(pickle.dumps(self.model))


SYSTEMS = (Defaults, Sampled, Full, Linear, SparsePairs, SparseAndLowRank, Regression, OneVsAll)
