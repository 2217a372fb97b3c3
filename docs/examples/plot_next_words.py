"""
The next word, by n-grams
=========================

A Kneser-Ney model of the docstrings of Python's standard library, estimated as ``lmplz`` does it, finds the most
probable next words exactly. No training is needed: it counts.
"""

# %%
# Sentences
# ---------
# A sentence is a paragraph's words in lower case. One in twenty is kept to test on.

import ast
import os
import re
from pathlib import Path

sentences = []
for path in sorted(Path(os.__file__).parent.glob("*.py")):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
            for part in re.split(r"\.\s|\n\n", text):
                if len(words := re.findall(r"[a-z]+", part.lower())) > 2:
                    sentences.append(" ".join(words))
sentences = list(dict.fromkeys(sentences))
train, test = [s for i, s in enumerate(sentences) if i % 20], sentences[::20]
print(len(train), "sentences to count,", len(test), "to test on")

# %%
# Estimate models of several orders
# ---------------------------------

import fastsoftmax as fs

models = {order: fs.NGramLanguageModel.estimate(train, order=order) for order in range(1, 6)}
perplexity = {order: model.perplexity(test) for order, model in models.items()}

for context in ["return a list of", "if the file", "raised when"]:
    (words,), (log10_proba,) = models[4].next_words([context], k=3)
    print(f"{context} ...", ", ".join(f"{w} {10**p:.0%}" for w, p in zip(words, log10_proba, strict=True)))

# %%
# How many words back does it pay to look?
# ----------------------------------------

import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.bar(list(perplexity), list(perplexity.values()), width=0.6)
for order, value in perplexity.items():
    ax.text(order, value, f"{value:.0f}", ha="center", va="bottom")
ax.margins(y=0.1)
ax.set(
    xlabel="order of the model (words that it looks at, the next one included)", ylabel="perplexity of new sentences"
)
plt.show()
