"""
Are the probabilities right?
============================

A model is calibrated if, of all rows that it gives 80 %, 80 % are right. ``fit`` holds a few rows out and scales its
terms on them, and ``calibrate`` does the same with rows of yours. ``ReliabilityDisplay`` draws how well that works. The
data are scikit-learn's digits, made hard by noise.
"""

# %%
# Train without calibration
# -------------------------

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

# %%
# The reliability diagram
# -----------------------
# A point has the rows whose probability is within a tenth. On the dotted line, the model is as often right as it says. The
# bars count the rows.

import matplotlib.pyplot as plt

from fastsoftmax import metrics
from fastsoftmax.plots import ReliabilityDisplay

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, name in zip(axes, ["as trained", "calibrated"], strict=True):
    if name == "calibrated":
        model.calibrate(X_own, y_own)
    display = ReliabilityDisplay.from_estimator(model, X_test, y_test, name=name, ax=ax)
    log_loss = metrics.log_loss(model.target_log_proba(X_test, y_test))
    print(f"{name}: log-loss {log_loss:.3f}, calibration error {display.expected_calibration_error:.3f}")
plt.show()

print("factors of the terms:", {name: round(float(value), 2) for name, value in model.calibration_.items()})
