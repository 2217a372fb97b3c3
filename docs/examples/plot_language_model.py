"""
The next word of a text
=======================

``LanguageModel`` learns from sentences which word comes next. Here the sentences are lines of Python's standard library,
and each file is a document. The model completes lines and draws new ones, and the picture shows what each of its parts
brings.
"""

# %%
# Documents
# ---------
# A document is a list of sentences, and a sentence a list of words: names, numbers and signs. One file in ten is kept to
# test on.

import os
import re
from pathlib import Path

documents, n_words = [], 0
for path in sorted(Path(os.__file__).parent.glob("*.py")):
    code = re.sub(r'""".*?"""|#[^\n]*', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [re.findall(r"\w+|[^\w\s]", line) for line in code.splitlines() if line.strip()]
    if 50 <= len(lines) <= 500 and n_words < 70_000:
        documents.append(lines)
        n_words += sum(map(len, lines))
train, test = [d for i, d in enumerate(documents) if i % 10], documents[::10]
print(f"{len(train)} files to train on, {len(test)} to test on, {n_words:,} words in all")

# %%
# Train, complete and sample
# --------------------------

from fastsoftmax import LanguageModel

model = LanguageModel(random_state=0).fit(train)
print(f"perplexity of the test files: {model.perplexity(test):.1f}")

for prompt in ["for i in", "if not", "raise"]:
    print(f"{prompt} -> {model.complete(prompt, n_tokens=8)}")

# A prompt may begin as long before as you like, since the caches learn from the document: here are 60 lines of a test file.
before = "\n".join(" ".join(line) for line in test[1][:60])
for line in model.sample(before + "\ndef", n=3, temperature=0.7, n_tokens=12, random_state=0):
    print("def", line)

words, log_proba = model.predict_topk(["import os\nimport sys\nif os . path ."], k=3)
print("after 'if os . path .':", ", ".join(words[0]))

# %%
# What each part brings
# ---------------------
# Models of one class, and so of the same words: their perplexities can be compared. The lower, the better.

import matplotlib.pyplot as plt

perplexity = {}
for order in (1, 2, 3, 5):
    ngrams = LanguageModel(order=order, hidden_size=None, cache=False, random_state=0).fit(train)
    perplexity[f"n-grams of {order} word{'s' * (order > 1)}"] = ngrams.perplexity(test)
cached = LanguageModel(hidden_size=None, cache=True, random_state=0).fit(train)
perplexity["and caches of the file so far"] = cached.perplexity(test)
perplexity["and a low-rank softmax: the default"] = model.perplexity(test)

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
bars = ax.barh(list(perplexity), list(perplexity.values()), color=["C0"] * 4 + ["C1", "C2"])
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.invert_yaxis()
ax.margins(x=0.1)
ax.set(xlabel="perplexity of new files")
plt.show()
