"""
Are the probabilities right?
============================

A model is calibrated if, of all rows that it gives 80 %, 80 % are right. ``fit`` holds a few rows out and scales its
terms on them, and ``calibrate`` does the same with rows of yours. The data are scikit-learn's digits, made hard by
noise.
"""

# %%
# Train with and without calibration
# ----------------------------------

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastsoftmax import SoftmaxClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16 + np.random.default_rng(0).normal(0, 0.7, X.shape)).astype(np.float32)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, test_size=0.6, random_state=0)
X_own, X_test, y_own, y_test = train_test_split(X_rest, y_rest, test_size=0.7, random_state=0)

model = SoftmaxClassifier(
    hidden_size=64, direct=None, max_iter=60, learning_rate=0.3, calibration_fraction=0, random_state=0
).fit(X_train, y_train)
before = model.predict_proba(X_test)
after = model.calibrate(X_own, y_own).predict_proba(X_test)
print("factors:", {name: round(float(value), 2) for name, value in model.calibration_.items()})

# %%
# The reliability diagram
# -----------------------
# Each point is a tenth of the test rows, by how sure the model is. On the diagonal, it is as often right as it says.

import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.plot([0, 1], [0, 1], color="grey", linewidth=1)
for name, proba in {"as trained": before, "calibrated": after}.items():
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y_test
    parts = np.array_split(np.argsort(confidence), 10)
    said, was = [confidence[p].mean() for p in parts], [right[p].mean() for p in parts]
    log_loss = -np.log(proba[np.arange(len(y_test)), y_test]).mean()
    error = np.mean(np.abs(np.subtract(said, was)))
    ax.plot(said, was, marker="o", label=f"{name}: log-loss {log_loss:.2f}, error {error:.2f}")
    print(f"{name}: log-loss {log_loss:.3f}, calibration error {error:.3f}, accuracy {right.mean():.1%}")
ax.set(xlabel="probability of the predicted class", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
ax.legend(loc="upper left")
plt.show()
