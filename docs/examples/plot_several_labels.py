"""
Several labels a row
====================

Which modules does a piece of code need? A row holds the names in one file of Python's standard library without its
imports, and its labels are the modules that the file imports. Rows have from none to dozens of labels, and ``fit``
takes them as they are: a set for each row.
"""

# %%
# Collect the rows
# ----------------

import ast
import os
from collections import Counter
from pathlib import Path

import numpy as np


def names_and_imports(path):
    """The names and attributes that a file uses, as one text, and the modules that it imports."""
    names, imports = [], set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            imports.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__" and not node.level:
            imports.add(node.module.partition(".")[0])
        elif isinstance(node, (ast.Name, ast.Attribute)):
            names.append(node.id if isinstance(node, ast.Name) else node.attr)
    return " ".join(name for name in names if name not in imports), imports


folder = Path(os.__file__).parent
skipped = {"site-packages", "test", "tests", "idlelib", "lib2to3", "distutils"}
paths = [path for path in sorted(folder.rglob("*.py")) if not skipped & set(path.relative_to(folder).parts)]
rows = [names_and_imports(path) for path in paths]
counts = Counter(module for _, imports in rows for module in imports)
labelled = [(text, imports & {m for m in imports if counts[m] >= 5}) for text, imports in rows]
labelled = [(text, labels) for text, labels in labelled if text and labels]
order = np.random.default_rng(0).permutation(len(labelled))
texts, labels = zip(*(labelled[i] for i in order), strict=True)
n_train = len(texts) * 3 // 4
print(f"{len(texts)} files, {sum(map(len, labels)) / len(labels):.1f} labels a file")

# %%
# Train
# -----
# Where labels are a few hundred, ``OneVsAllClassifier`` solves a binary problem for each in no time.
# ``SoftmaxClassifier`` takes the same rows, and is the one for many thousands of labels.

from sklearn.feature_extraction.text import TfidfVectorizer

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, metrics

vectorizer = TfidfVectorizer(sublinear_tf=True)
X = vectorizer.fit_transform(texts[:n_train])
X_test, labels_test = vectorizer.transform(texts[n_train:]), list(labels[n_train:])
models = {
    "OneVsAllClassifier": OneVsAllClassifier().fit(X, list(labels[:n_train])),
    "SoftmaxClassifier": SoftmaxClassifier(random_state=0).fit(X, list(labels[:n_train])),
}
model = models["OneVsAllClassifier"]
for i in range(3):
    print("predicted", sorted(model.predict_topk(X_test[[i]], 5)[0][0].tolist()), " true", sorted(labels_test[i]))

# %%
# Precision at the top of the list
# --------------------------------

import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, fitted in models.items():
    ranking, _ = fitted.predict_topk(X_test, 10)
    precision = [metrics.precision_at_k(ranking, labels_test, k) for k in range(1, 11)]
    recall = [metrics.recall_at_k(ranking, labels_test, k) for k in range(1, 11)]
    ax.plot(recall, precision, marker="o", markersize=4, label=name)
ax.set(xlabel="recall at 1 to 10", ylabel="precision at 1 to 10", xlim=(0, 1), ylim=(0, 1))
ax.legend()
ax.grid(alpha=0.3)
plt.show()
