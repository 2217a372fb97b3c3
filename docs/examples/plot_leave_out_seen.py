"""
The next item, without those already seen
=========================================

A shop knows what a visitor has looked at and recommends what comes next. The items of a session are the features, the
next item is the class, and ``exclude`` leaves out what the visitor has seen. Sessions are drawn from a fixed seed:
visitors walk among neighbouring items.
"""

# %%
# Sessions
# --------

import numpy as np
from scipy.sparse import csr_array

n_items, n_sessions, length = 1_000, 12_000, 6
rng = np.random.default_rng(0)
start = rng.integers(n_items, size=(n_sessions, 1))
steps = rng.choice([-3, -1, 1, 2, 7], p=[0.1, 0.2, 0.3, 0.3, 0.1], size=(n_sessions, length))
sessions = (start + np.cumsum(steps, axis=1)) % n_items
seen, following = sessions[:, :-1], sessions[:, -1]


def rows(seen):
    """A row of ones for the items of each session; the last item has a column of its own, since it tells the most."""
    columns = np.hstack([seen, n_items + seen[:, -1:]])
    width = columns.shape[1]
    ones = np.ones(columns.size, np.float32)
    X = csr_array((ones, columns.ravel(), np.arange(0, columns.size + 1, width)), shape=(len(seen), 2 * n_items))
    X.sum_duplicates()
    return X


# %%
# Train, and recommend
# --------------------

from fastsoftmax import SoftmaxClassifier, metrics

X = rows(seen)
n_train = 10_000
model = SoftmaxClassifier(direct="sparse", hidden_size=32, random_state=0).fit(X[:n_train], following[:n_train])

X_test, seen_test, true = X[n_train:], seen[n_train:], following[n_train:]
everything, _ = model.predict_topk(X_test, 5)
new_only, log_proba = model.predict_topk(X_test, 5, exclude=seen_test)
print("seen:", seen_test[0].tolist())
print("best of all items:", everything[0].tolist())
print("best of the new ones:", new_only[0].tolist())

# %%
# What the exclusion is worth
# ---------------------------
# Where the next item is a new one, the places that seen items took go to others.

import matplotlib.pyplot as plt

is_new = (true[:, None] != seen_test).all(axis=1)
k = np.arange(1, 6)
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, ranking in {"all items": everything, "without seen items": new_only}.items():
    hits = [metrics.hit_at_k(ranking[is_new], true[is_new], int(n)) for n in k]
    ax.plot(k, hits, marker="o", label=name)
    print(f"{name}: {hits[-1]:.1%} of the new items are among the first five")
ax.set(xlabel="k", ylabel="next item among the first k", xticks=k, ylim=(0, 1))
ax.legend()
ax.grid(alpha=0.3)
plt.show()
