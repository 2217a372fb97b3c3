"""
Samplers compared
=================

Candidate sampling estimates the softmax's denominator from a few classes. How far off it is depends on where they
come from: the nearer a sampler's distribution is to the model's, the fewer classes are enough. This measures it for a
model whose frequent classes have high logits, as after training on words.
"""

# %%
# A model of 50,000 classes
# -------------------------

import numpy as np

import fastsoftmax as fs
from fastsoftmax import samplers

n_classes, size = 50_000, 16
rng = np.random.default_rng(0)
counts = np.maximum(1, 1e6 / np.arange(1, n_classes + 1)).astype(int)  # Zipf's law: the most frequent class comes first
bias = np.log(counts / counts.sum())
W = rng.normal(0, 0.3, (n_classes, size))
X = rng.normal(0, 1, (32, size))
true = fs.linear_logsumexp(X, W, bias)

# %%
# Estimate the denominator
# ------------------------
# Each drawn class counts as one over how often it was expected: that is the correction that sampled losses make. Its
# mean is right for any sampler; its spread is not.

kinds = {
    "uniform": samplers.Uniform(n_classes),
    "log-uniform": samplers.LogUniform(n_classes),
    "unigram": samplers.Unigram(counts, power=1.0),
    "unigram, power 0.75": samplers.Unigram(counts),
}
numbers = [16, 64, 256, 1024, 4096]
spread = {}
for name, sampler in kinds.items():
    spread[name] = []
    for n in numbers:
        errors = []
        for seed in range(20):
            class_ids, log_expected = sampler.draw(n, np.random.default_rng(seed))
            logits = X @ W[class_ids].T + bias[class_ids] - log_expected
            errors.append(fs.logsumexp(logits, axis=1) - true)
        spread[name].append(np.sqrt(np.mean(np.square(errors))))
    print(f"{name:20} error of log Z with 1,024 classes: {spread[name][3]:.3f}")

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, errors in spread.items():
    ax.loglog(numbers, errors, marker="o", label=name)
ax.set(xlabel="classes drawn", ylabel="error of log Z, root mean square", xticks=numbers, xticklabels=numbers)
ax.minorticks_off()
ax.legend()
ax.grid(alpha=0.3)
plt.show()
