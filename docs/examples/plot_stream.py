"""
An out-of-core stream
=====================

Rows that do not fit in memory come in chunks. ``partial_fit`` learns from each chunk and forgets it, and the weights
lie in memory-mapped files, so neither the rows nor the model need to fit. Here a generator makes the chunks; yours
reads them from disk.
"""

# %%
# A stream of chunks
# ------------------
# A row has five of 2,000 features. Three of them are those of its class, the other two are noise.

import tempfile

import numpy as np
from scipy.sparse import csr_array

n_classes, n_features, n_rows = 20_000, 2_000, 4_000
features_of = np.random.default_rng(0).integers(n_features, size=(n_classes, 3))


def chunk(seed):
    rng = np.random.default_rng(seed)
    y = (n_classes * rng.random(n_rows) ** 3).astype(int)  # low numbers are frequent, as words are
    columns = np.hstack([features_of[y], rng.integers(n_features, size=(n_rows, 2))])
    ones = np.ones(columns.size, np.float32)
    X = csr_array((ones, columns.ravel(), np.arange(0, columns.size + 1, 5)), shape=(n_rows, n_features))
    X.sum_duplicates()
    return X, y


# %%
# Test each chunk before it is learned
# ------------------------------------
# So every row is new when it is predicted, and no rows need to be held out.

from fastsoftmax import SoftmaxClassifier, metrics

rows_seen, hit_rate = [], []
with tempfile.TemporaryDirectory() as folder:
    model = SoftmaxClassifier(hidden_size=32, direct=None, weights_dir=folder, random_state=0)
    for seed in range(30):
        X, y = chunk(seed)
        if seed:
            ranking, _ = model.predict_topk(X[:1000], 10)
            rows_seen.append(seed * n_rows)
            hit_rate.append(metrics.hit_at_k(ranking, y[:1000], 10))
        model.partial_fit(X, y, n_classes=n_classes)
    del model  # its files have no names: nothing is left in the folder

print(f"after {rows_seen[-1]:,} rows, the class is among the first ten of {n_classes:,} for {hit_rate[-1]:.0%}")

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(np.array(rows_seen) / 1000, hit_rate)
ax.set(xlabel="thousands of rows seen", ylabel="class among the first ten", ylim=(0, 1))
ax.grid(alpha=0.3)
plt.show()
