"""
The next item, without those already seen
=========================================

A shop knows what a visitor has looked at and wants to show what comes next. ``NextItemModel`` learns that from sequences
of items alone, and ``exclude_seen=True`` leaves out what the visitor has seen. The sessions are drawn from a fixed seed:
visitors walk among neighbouring items, and now and then go back to one.
"""

# %%
# Sessions
# --------
# A session is a list of items, the oldest first. The last tenth of the sessions is kept to test on.

import numpy as np

n_items, n_sessions = 500, 3_000
rng = np.random.default_rng(0)


def session():
    place = int(rng.integers(n_items))
    items = [place]
    for _ in range(rng.integers(3, 8)):
        if len(items) > 1 and rng.random() < 0.3:
            place = items[rng.integers(len(items) - 1)]
        else:
            place = (place + int(rng.choice([-3, -1, 1, 2, 7], p=[0.1, 0.2, 0.3, 0.3, 0.1]))) % n_items
        items.append(place)
    return [f"item {place}" for place in items]


sessions = [session() for _ in range(n_sessions)]
train, test = sessions[: -n_sessions // 10], sessions[-n_sessions // 10 :]
print(len(train), "sessions to learn from, such as", train[0])

# %%
# Train, and recommend
# --------------------
# ``log_proba`` has logarithms of probabilities among all items, whichever are left out.

from fastsoftmax import NextItemModel

model = NextItemModel(random_state=0).fit(train)

history = test[0][:-1]
items, log_proba = model.predict_topk([history], k=5, exclude_seen=True)
print("seen:", history)
for item, p in zip(items[0], np.exp(log_proba[0]), strict=True):
    print(f"  next: {item}, {p:.1%}")

# %%
# What the exclusion is worth
# ---------------------------
# Each item of a test session is a row, with those before it as its history. Where the item is a new one, the places that
# seen items took go to others.

import matplotlib.pyplot as plt

from fastsoftmax import metrics

histories, targets = metrics.every_prefix(test)
new = [(history, item) for history, item in zip(histories, targets, strict=True) if item not in history]
histories, targets = [history for history, _ in new], np.array([item for _, item in new])

k = np.arange(1, 21)
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for exclude_seen in (True, False):
    ranking, _ = model.predict_topk(histories, 20, exclude_seen=exclude_seen)
    hits = [metrics.hit_at_k(ranking, targets, int(n)) for n in k]
    ax.plot(k, hits, marker="o", markersize=4, label=f"exclude_seen={exclude_seen}")
    print(f"exclude_seen={exclude_seen}: {hits[2]:.0%} of the new items are among the first three")
ax.set(xlabel="k", ylabel="new item among the first k", xticks=[1, 5, 10, 15, 20], ylim=(0, 1))
ax.legend(loc="lower right")
ax.grid(alpha=0.3)
plt.show()

# %%
# What the model is made of
# -------------------------
# It mixes a low-rank softmax with models that count, by weights for five kinds of histories. Sequences that it held out
# found them. These are the weights where the last item is neither rare nor frequent; the rest is the softmax's.

for name, weights in model.chosen_["weights"].items():
    print(f"{name:12} {weights[2]:.2f}")
