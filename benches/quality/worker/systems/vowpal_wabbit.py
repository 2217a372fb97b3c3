"""Vowpal Wabbit: one against all, and probabilistic label trees, by way of files, as its command uses them.

Its README on trees (demo/plt) says: use oaa below 10,000 classes, as many bits as you can afford, and --holdout_off where
labels are rare. Its demo has --kary_tree 16, -l 0.5 and 5 passes.
"""

import math
from itertools import pairwise

import numpy as np

from .base import System, is_multi_label, rectangle, rows_as_text, top_of_dense

MAX_BITS = 26  # four float32 a weight: 1 GiB
# Updates of weights in training. A 2-core AVX-512 machine makes some 4e7 a second, so that 3e10 take 13 minutes.
MAX_UPDATES = 3e10
ARITY = 16
MAX_LISTED = 1e8  # classes' probabilities that oaa writes as text for the test rows


class _VowpalWabbit(System):
    environment = "vowpalwabbit"
    packages = ("vowpalwabbit",)
    one_thread = True
    budgets, budget = (1, 3, 10), 10

    reduction = options = ""

    def _label(self, labels):
        raise NotImplementedError

    def prepare(self):
        import vowpalwabbit  # noqa: F401

        train = self.problem.train
        labels = [self._label(train.labels[a:b].tolist()) for a, b in pairwise(train.label_starts.tolist())]
        self.text, self.trained = self.folder / "train.txt", self.folder / "trained.vw"
        with open(self.text, "w") as file:
            file.writelines(f"{label} {row}\n" for label, row in zip(labels, _rows(train.X), strict=True) if label)
        weights = max(2.0, float(self.problem.n_classes) * self.problem.n_features)
        self.bits = min(MAX_BITS, max(18, math.ceil(math.log2(weights))))

    def fit(self):
        """Train; the first pass reads the file of text, and later ones a cache."""
        self._run(
            f"--{self.reduction} {self.problem.n_classes} {self.options} -b {self.bits} --passes {self.budget} --holdout_off "
            f"--random_seed {self.seed + 1} -k -c",
            {"-d": self.text, "--cache_file": self.folder / "cache", "-f": self.trained},
        )

    def _run(self, options, files):
        from vowpalwabbit import Workspace

        paths = [str(text) for pair in files.items() for text in pair]  # which may have spaces
        Workspace(arg_list=["--quiet", "--loss_function", "logistic", *options.split(), *paths]).finish()

    def prepare_predictions(self, X):
        path = self.folder / "rows.txt"
        with open(path, "w") as file:
            file.writelines(f"{row}\n" for row in _rows(X))
        return path

    def _predictions(self, rows, options):
        path = self.folder / "predictions.txt"
        self._run(f"-t {options}", {"-i": self.trained, "-d": rows, "-p": path})
        return path.read_text().splitlines()

    def save(self, path):
        path.write_bytes(self.trained.read_bytes())


class OneAgainstAll(_VowpalWabbit):
    name = "Vowpal Wabbit oaa"
    reduction, options = "oaa", ""
    settings = "--oaa --loss_function logistic, 10 passes, --holdout_off, -b 18 to 26 by size, --probabilities"

    @classmethod
    def why_not(cls, problem):
        if is_multi_label(problem):
            return "one label a row only"
        if problem["n_test"] * problem["n_classes"] > MAX_LISTED:
            return f"it would write {problem['n_test'] * problem['n_classes']:.0e} probabilities as text"
        updates = problem["n_train"] * problem["entries_a_row"] * problem["n_classes"] * cls.budget
        return f"{updates:.0e} updates of weights in {cls.budget} passes" if updates > MAX_UPDATES else ""

    def _label(self, labels):
        return str(labels[0] + 1)

    def _proba(self, rows):
        """Read all classes' probabilities from "1:p 2:p ...": logistic ones, which it has divided by their sum."""
        lines = self._predictions(rows, "--probabilities")
        found = [np.fromstring(line.replace(":", " "), sep=" ")[1::2] for line in lines]
        return np.array(found)

    def predict_topk(self, rows, k):
        return top_of_dense(self._proba(rows), k)

    def target_log_proba(self, X, class_ids):
        proba = self._proba(self.prepare_predictions(X))
        with np.errstate(divide="ignore"):
            return np.log(proba[np.arange(len(proba)), class_ids])


class PLT(_VowpalWabbit):
    name = "Vowpal Wabbit plt"
    reduction, options = "plt", f"--kary_tree {ARITY} -l 0.5"
    settings = "--plt --kary_tree 16 -l 0.5 --loss_function logistic, 10 passes, --holdout_off, -b 18 to 26 by size"

    def _label(self, labels):
        return ",".join(map(str, labels))

    def predict_topk(self, rows, k):
        """Predict, and leave out what is no class: the tree may have further leaves, which it predicts as well."""
        lines = self._predictions(rows, f"--top_k {k + ARITY}")
        found = [[int(label) for label in line.split(",") if label.strip()] for line in lines]
        real = [[label for label in labels if label < self.problem.n_classes][:k] for labels in found]
        class_ids = rectangle(real, k)
        return class_ids, None  # its probabilities are those of single labels


def _rows(X):
    """Return an iterator over rows in Vowpal Wabbit's format, with features by their numbers."""
    return (f"|f {row}" for row in rows_as_text(X))


SYSTEMS = (OneAgainstAll, PLT)
