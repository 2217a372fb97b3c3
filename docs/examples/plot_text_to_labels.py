"""
From texts to labels
====================

Which module of Python's standard library does a docstring come from? The words of the docstring are the features, and
the modules are the classes. It takes a vectorizer, a classifier, and two lines to look at the result.
"""

# %%
# Collect the texts
# -----------------
# Every docstring of a function or a class is a row. Modules with fewer than ten docstrings are left out.

import ast
import os
from collections import Counter
from pathlib import Path

import numpy as np

texts, modules = [], []
for path in sorted(Path(os.__file__).parent.glob("*.py")):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
            texts.append(text)
            modules.append(path.stem)
frequent = {module for module, n in Counter(modules).items() if n >= 10}
rows = [(text, module) for text, module in zip(texts, modules, strict=True) if module in frequent]
texts, modules = (np.array(column) for column in zip(*rows, strict=True))
is_test = np.random.default_rng(0).random(len(texts)) < 0.2
print(len(texts), "docstrings of", len(frequent), "modules")

# %%
# Train and predict
# -----------------
# Both terms together, a sparse one and a low-rank one, predict best where rows are sparse.

from fastsoftmax import SoftmaxClassifier, features, metrics

vectorizer = features.TextVectorizer()
X = vectorizer.fit_transform(texts[~is_test].tolist())
X_test = vectorizer.transform(texts[is_test].tolist())
model = SoftmaxClassifier(direct="sparse", hidden_size=64, random_state=0).fit(X, modules[~is_test])

for text in ["Return the square root of x.", "Send an email message to the server.", "Parse a date from a string."]:
    labels, log_proba = model.predict_topk(vectorizer.transform([text]), 3)
    best = ", ".join(f"{label} {p:.0%}" for label, p in zip(labels[0], np.exp(log_proba[0]), strict=True))
    print(f"{text:40} {best}")

# %%
# How often is the right module among the first k?
# ------------------------------------------------

import matplotlib.pyplot as plt

ranking, _ = model.predict_topk(X_test, 20)
k = np.arange(1, 21)
hits = [metrics.hit_at_k(ranking, modules[is_test], int(n)) for n in k]

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(k, hits, marker="o", markersize=4)
ax.set(xlabel="k", ylabel="right module among the first k", ylim=(0, 1), xticks=[1, 5, 10, 15, 20])
ax.grid(alpha=0.3)
plt.show()
