"""
Why does a text get its label?
==============================

A classifier tells which module of Python's standard library a docstring comes from. ``explain`` tells why: what each word
adds to the logit of a label. ``ExplanationDisplay`` draws it.
"""

# %%
# A classifier of texts
# ---------------------

import ast
import os
from pathlib import Path

from fastsoftmax import SoftmaxClassifier, features

texts, modules = [], []
for path in sorted(Path(os.__file__).parent.glob("*.py")):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
            texts.append(text)
            modules.append(path.stem)

vectorizer = features.TextVectorizer()
model = SoftmaxClassifier(direct="sparse", hidden_size=64, random_state=0).fit(vectorizer.fit_transform(texts), modules)

# %%
# Explain a prediction
# --------------------
# The contributions, the other features and the bias add up to the logit. A column of the vectorizer is a word, or a pair
# of words that two texts have; ``vocabulary_`` names them. A model that was saved with its vectorizer knows the names.

row = vectorizer.transform(["Send a message to the server and wait for its reply."])
labels, _ = model.predict_topk(row, 2)
best, second = labels[0]
print(model.explain(row, k=5, feature_names=vectorizer.vocabulary_)[0])

# %%
# Two labels side by side
# -----------------------
# A word that adds as much to all labels decides nothing: what counts is the difference between labels.

import matplotlib.pyplot as plt

from fastsoftmax.plots import ExplanationDisplay

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True)
for ax, label in zip(axes, [best, second], strict=True):
    ExplanationDisplay.from_estimator(model, row, label, k=8, feature_names=vectorizer.vocabulary_, ax=ax)
plt.show()

# %%
# What a label is about
# ---------------------

words, weights = model.top_features(best, 5, feature_names=vectorizer.vocabulary_)
print(f"{best} is about", ", ".join(words))
others, cosines = model.similar_classes(best, 3)
print("modules that are most like it:", ", ".join(others))
