"""What `gradient_threshold` costs and saves on weights that are trained on real data.

    python -m benches.studies.gradient_threshold [data.svm] [--epochs 5]

It trains a low-rank SoftmaxClassifier on the svmlight file, or on synthetic data. After each epoch and for each threshold it
prints how many elements a row are left of the gradient of the logits, the relative error of the gradients (L2), that of dV's
mean over 16 draws times 4 (the same, where nothing is biased), and the time of loss and gradients over that of one product of
the same size. Then it trains with each threshold, and prints seconds, and loss and accuracy on a tenth of the rows, which are
held out.
"""

import argparse
import time
from statistics import median

import numpy as np
import reference

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.linear import linear_cross_entropy
from fastsoftmax.losses import Softmax
from fastsoftmax.passes import tiles
from fastsoftmax.runtime import threads
from fastsoftmax.training.watchers.base import Watcher

from ..watching import watching
from .synthetic import synthetic

THRESHOLDS = (1e-4, 3e-4, 1e-3, 3e-3)
BATCH_SIZE = 256
N_DRAWS = 16  # of the gradients whose mean is compared to the exact ones


def classifier(max_iter, threshold):
    return SoftmaxClassifier(
        loss=Softmax(gradient_threshold=threshold), hidden_size=128, direct=None, max_iter=max_iter, learning_rate=0.15,
        batch_size=BATCH_SIZE, random_state=0,
    )  # fmt: skip


def steady(calls):
    """Return {name: median seconds} of calls that take turns, each repeated as training repeats it."""
    seconds = {name: [] for name in calls}
    for _ in range(4):
        for name, call in calls.items():
            for i in range(8):
                start = time.perf_counter()
                call()
                if i >= 3:  # by then the threads of the previous call sleep
                    seconds[name].append(time.perf_counter() - start)
    return {name: median(of_call) for name, of_call in seconds.items()}


def measure(model, X, target):
    """Print a line for each threshold, for a batch of these rows."""
    rows = np.random.default_rng(0).permutation(len(target))[:BATCH_SIZE]
    hidden, target = np.asarray(X[rows] @ model.E, np.float32), target[rows]
    V, bias = model.V, model.bias
    p = reference.softmax(hidden @ V.T + bias, axis=1)
    out = np.empty(p.shape, np.float32)

    def gradients(threshold, seed=0):
        options = {"return_grad": True, "gradient_threshold": threshold, "random_state": seed}
        return linear_cross_entropy(hidden, V, target, bias, **options)[1]

    calls = {"product": lambda: np.matmul(hidden, V.T, out=out)}
    calls |= {threshold: lambda threshold=threshold: gradients(threshold) for threshold in (0.0, *THRESHOLDS)}
    times = steady(calls)
    exact = gradients(0.0)[:2]
    keys = tiles.draw_row_keys(np.random.default_rng(0), len(p))
    is_target = np.arange(p.shape[1]) == target[:, None]
    print(
        f"  one product {times['product'] * 1e3:.2f} ms; exact gradients {times[0.0] / times['product']:.2f} times that"
    )
    for threshold in THRESHOLDS:
        left = np.count_nonzero(reference.round_small(p, threshold, keys)) / len(p)
        rounded = [a - b for a, b in zip(gradients(threshold)[:2], exact, strict=True)]
        dropped = np.where((p < threshold) & ~is_target, p, 0) / len(p)
        errors = [
            np.linalg.norm(error) / np.linalg.norm(gradient)
            for error, gradient in zip((*rounded, dropped @ V, dropped.T @ hidden), (*exact, *exact), strict=True)
        ]
        mean_dV = np.mean([gradients(threshold, seed)[1] for seed in range(N_DRAWS)], axis=0, dtype=np.float64)
        of_mean = np.linalg.norm(mean_dV - exact[1]) / np.linalg.norm(exact[1]) * N_DRAWS**0.5
        print(
            f"  threshold {threshold:.0e}: {left:7.1f} elements a row; error of dX {errors[0]:.4f}, of dV {errors[1]:.4f} "
            f"(of the mean of {N_DRAWS} draws, times {N_DRAWS**0.5:g}: {of_mean:.4f}; "
            f"dropped, not rounded: {errors[2]:.4f}, {errors[3]:.4f}); {times[threshold] / times['product']:.2f} products",
            flush=True,
        )


def measure_epochs(X, y, n_epochs):
    """Train with exact gradients, and `measure` after each epoch."""

    codes = np.unique(y, return_inverse=True)[1]

    class Measure(Watcher):
        def after_epoch(self, trainer):
            print(f"after epoch {trainer.epoch}, mean loss {trainer.loss_curve[-1]:.3f}")
            measure(trainer.learners[0].runner.model, X, codes)

    with watching(Measure()):
        classifier(n_epochs, 0.0).fit(X, y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="svmlight file with one class a row; none: synthetic data")
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    if args.data is None:
        X, y = synthetic()
    else:
        from sklearn.datasets import load_svmlight_file

        X, y = load_svmlight_file(args.data, dtype=np.float32)
        y = y.astype(np.int64)
    print(
        f"{X.shape[0]:,} rows, {X.shape[1]:,} features, {len(np.unique(y)):,} classes, {threads.resolve(None)} threads"
    )
    is_test = np.random.default_rng(1).random(len(y)) < 0.1
    is_test &= np.isin(y, y[~is_test])
    X_train, y_train, X_test, y_test = X[~is_test], y[~is_test], X[is_test], y[is_test]
    measure_epochs(X_train, y_train, args.epochs)
    for threshold in (0.0, *THRESHOLDS):
        start = time.perf_counter()
        model = classifier(args.epochs, threshold).fit(X_train, y_train)
        seconds = time.perf_counter() - start
        nll, accuracy = -model.target_log_proba(X_test, y_test).mean(), model.score(X_test, y_test)
        print(
            f"trained with {threshold:.0e} in {seconds:.1f} s: test loss {nll:.4f}, accuracy {accuracy:.4f}", flush=True
        )


if __name__ == "__main__":
    main()
