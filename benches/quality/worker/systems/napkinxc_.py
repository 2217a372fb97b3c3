"""napkinXC: probabilistic label trees and hierarchical softmax, with its defaults (https://napkinxc.readthedocs.io)."""

import shutil

import numpy as np

from .base import System, is_multi_label, rectangle

# It lists all classes of a row with their probabilities as Python tuples, some 2 million a second (on a 2-core AVX-512
# machine).
MAX_LISTED = 3e7
BLOCK = 1 << 22


class _Tree(System):
    environment = "napkinxc"
    packages = ("napkinxc",)
    model_name = ""  # in napkinxc.models

    def prepare(self):
        from napkinxc import models

        self.kind = getattr(models, self.model_name)
        self.X, self.y = self.problem.train.X, self.labels()

    def labels(self):
        raise NotImplementedError

    def fit(self):
        self.trained = self.folder / "napkinxc"  # it writes its model while training, and reads it for prediction
        self.model = self.kind(output=str(self.trained), seed=self.seed + 1, threads=self.n_threads, verbose=0)
        self.model.fit(self.X, self.y)

    def prepare_predictions(self, X):
        self.model.load()
        return X

    def save(self, path):
        shutil.copytree(self.trained, path)


class PLT(_Tree):
    name = "napkinXC PLT"
    model_name = "PLT"
    settings = (
        "hierarchical k-means (arity 2, leaves of 100), LIBLINEAR logistic C 10, eps 0.1, weights below 0.1 pruned"
    )

    def labels(self):
        return self.problem.train.indicator(self.problem.n_classes)

    def predict_topk(self, rows, k):
        return rectangle(self.model.predict(rows, top_k=k), k), None  # its probabilities are those of single labels


class HSM(_Tree):
    name = "napkinXC HSM"
    model_name = "HSM"
    settings = (
        "hierarchical k-means (arity 2, leaves of 100), LIBLINEAR logistic C 10, eps 0.1, weights below 0.1 pruned"
    )

    @classmethod
    def why_not(cls, problem):
        return "one label a row only" if is_multi_label(problem) else ""

    def labels(self):
        return self.problem.train.labels.tolist()

    def predict_topk(self, rows, k):
        found = self.model.predict_proba(rows, top_k=k)
        best = np.array([[row[0][1] if row else 0.0] for row in found])
        return rectangle([[label for label, _ in row] for row in found], k), best

    def target_log_proba(self, X, class_ids):
        n_classes = self.problem.n_classes
        if len(class_ids) * n_classes > MAX_LISTED:
            return None
        proba = np.zeros(len(class_ids))
        size = max(1, BLOCK // n_classes)
        for start in range(0, len(class_ids), size):
            found = self.model.predict_proba(X[start : start + size], top_k=n_classes)
            wanted = class_ids[start : start + size].tolist()
            proba[start : start + size] = [dict(row).get(label, 0.0) for row, label in zip(found, wanted, strict=True)]
        with np.errstate(divide="ignore"):
            return np.log(proba)


SYSTEMS = (PLT, HSM)
