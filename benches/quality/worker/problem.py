"""A classification problem as a folder of NumPy arrays: what every system's own process reads."""

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Part:
    """Rows and their labels.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n_rows, n_features), canonical
    labels : ndarray of int64; those of row i are ``labels[label_starts[i]:label_starts[i + 1]]``
    label_starts : ndarray of int64, shape (n_rows + 1,)
    """

    X: sparse.csr_matrix
    labels: np.ndarray
    label_starts: np.ndarray

    @property
    def n_rows(self):
        return self.X.shape[0]

    def indicator(self, n_classes):
        """Return the labels as a CSR matrix of ones, shape (n_rows, n_classes)."""
        ones = np.ones(len(self.labels), np.float32)
        return sparse.csr_matrix((ones, self.labels, self.label_starts), shape=(self.n_rows, n_classes))

    @cached_property
    def label_rows(self):
        """The row of each label."""
        return np.repeat(np.arange(self.n_rows), np.diff(self.label_starts))

    def one_label_a_row(self):
        """Return X and y with a row for each label, for systems that know only one class a row."""
        if len(self.labels) == self.n_rows and np.all(np.diff(self.label_starts) == 1):
            return self.X, self.labels
        return self.X[self.label_rows], self.labels

    def save(self, path):
        X = self.X
        np.savez(
            path, data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape, labels=self.labels,
            label_starts=self.label_starts,
        )  # fmt: skip

    @classmethod
    def load(cls, path):
        a = np.load(path)
        X = sparse.csr_matrix((a["data"], a["indices"], a["indptr"]), shape=tuple(a["shape"]))
        X.has_canonical_format = True
        return cls(X, a["labels"], a["label_starts"])


@dataclass(frozen=True, eq=False)
class Problem:
    """A classification problem. Labels are 0 to n_classes - 1, and each occurs in the training part; other test labels are -1.

    Attributes
    ----------
    name, title : str
    kind : str
        "tokens", if a row's label is a token and its features, ``place * n_classes + token``, are the tokens before it;
        "dense", if there are few features and hardly any of them are zero; else "sparse".
    """

    name: str
    title: str
    kind: str
    n_classes: int
    train: Part
    test: Part

    @property
    def n_features(self):
        return self.train.X.shape[1]

    @cached_property
    def is_multi_label(self):
        return bool(np.any(np.diff(self.train.label_starts) != 1))

    @cached_property
    def _checksum(self):
        """A number that tells the problem from others of the same name and sizes."""
        value = 0
        for part in (self.train, self.test):
            for array in (part.X.data, part.X.indices, part.X.indptr, part.labels, part.label_starts):
                value = zlib.crc32(np.ascontiguousarray(array), value)
        return value

    def summary(self):
        """Return what reports and `System.why_not` know about the problem."""
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "n_classes": self.n_classes,
            "n_features": self.n_features,
            "n_train": self.train.n_rows,
            "n_test": self.test.n_rows,
            "n_unknown": int(np.count_nonzero(self.test.labels < 0)),
            "entries_a_row": self.train.X.nnz / max(1, self.train.n_rows),
            "labels_a_row": len(self.train.labels) / max(1, self.train.n_rows),
            "checksum": self._checksum,
        }

    def save(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.train.save(folder / "train.npz")
        self.test.save(folder / "test.npz")
        (folder / "problem.json").write_text(json.dumps(self.summary()))

    @classmethod
    def load(cls, folder):
        folder = Path(folder)
        about = json.loads((folder / "problem.json").read_text())
        return cls(
            name=about["name"],
            title=about["title"],
            kind=about["kind"],
            n_classes=about["n_classes"],
            train=Part.load(folder / "train.npz"),
            test=Part.load(folder / "test.npz"),
        )
