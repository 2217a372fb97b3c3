"""
The best of a million classes, exactly
======================================

You have vectors of a million items and a query, and want the ten best items and their probabilities among all.
``linear_topk`` finds them tile by tile and never makes the array of queries x items.
"""

# %%
# A million vectors
# -----------------

import time

import numpy as np

import fastsoftmax as fs

rng = np.random.default_rng(0)
items = rng.standard_normal((1_000_000, 32), dtype=np.float32)
queries = rng.standard_normal((64, 32), dtype=np.float32)

class_ids, log_proba = fs.linear_topk(queries, items, 10)
print("best items of the first query:", class_ids[0].tolist())
print("their probabilities:", ", ".join(f"{p:.1%}" for p in np.exp(log_proba[0])))

# %%
# The same with NumPy
# -------------------
# NumPy has to make all 64 million logits first. The answers are the same.


def with_numpy(queries):
    logits = queries @ items.T
    best = np.argpartition(logits, -10, axis=1)[:, -10:]
    order = np.argsort(-np.take_along_axis(logits, best, axis=1), axis=1)
    top = logits.max(axis=1, keepdims=True)
    lse = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    best = np.take_along_axis(best, order, axis=1)
    return best, np.take_along_axis(logits, best, axis=1) - lse


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


best, log_proba_numpy = with_numpy(queries[:8])
print(
    "same items:", (best == class_ids[:8]).all(), " largest difference:", np.abs(log_proba_numpy - log_proba[:8]).max()
)

# %%
# Time for batches of several sizes
# ---------------------------------

import matplotlib.pyplot as plt

sizes = [1, 4, 16, 32]
ours = [min(seconds(fs.linear_topk, queries[:n], items, 10) for _ in range(3)) for n in sizes]
numpys = [seconds(with_numpy, queries[:n]) for n in sizes]

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.loglog(sizes, numpys, marker="o", label="NumPy: all logits, then argpartition")
ax.loglog(sizes, ours, marker="o", label="linear_topk")
ax.set(xlabel="queries in a call", ylabel="seconds", xticks=sizes, xticklabels=sizes)
ax.legend()
ax.grid(alpha=0.3)
plt.show()
