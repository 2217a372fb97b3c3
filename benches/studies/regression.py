"""SoftmaxRegression against scikit-learn's LogisticRegression: loss reached and time of `fit`.

    python -m benches.studies.regression [DATA.npz ...] [--only TEXT] [--rounds N] [--threads N] [--max-iter N]

The data are scikit-learn's own small data sets, and DATA.npz as for `sampling`. Both models have their defaults but for
`max_iter`, and take turns; medians are given. Times are CPU time of the process with --threads 1, else wall time.
"""

import argparse
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fastsoftmax import SoftmaxRegression

from .sampling import unpack

SMALL = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


def problems(paths):
    """Yield (name, X, y)."""
    rng = np.random.default_rng(0)
    for n_rows, n_features, n_classes in ((20, 5, 3), (20, 20, 2), (100, 20, 8)):
        y = np.arange(n_rows) % n_classes
        yield f"random {n_rows} x {n_features}, K = {n_classes}", rng.standard_normal((n_rows, n_features)), y
    for name, loader in SMALL.items():
        X, y = loader(return_X_y=True)
        yield name, X, y
        yield f"{name}, standardised", StandardScaler().fit_transform(X), y
    for path in paths:
        X, y = unpack(path)[:2]
        yield Path(path).stem, X, y


def loss(model, X, y):
    """Return C sum_i loss_i + ||W||^2 / 2 in float64, whatever the model computes in."""
    W, bias = model.coef_.astype(np.float64), model.intercept_
    total = (W**2).sum() / 2
    codes = np.searchsorted(model.classes_, y)
    for start in range(0, X.shape[0], 4096):
        z = X[start : start + 4096] @ W.T + bias
        z = np.hstack([np.zeros_like(z), z]) if len(W) == 1 else z
        total += (np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), codes[start : start + 4096]]).sum() * model.C
    return total


def compare(X, y, *, rounds, n_threads, max_iter):
    """Return {name: (loss, seconds, iterations)}."""
    models = {
        "fastsoftmax": SoftmaxRegression(n_threads=n_threads, max_iter=max_iter),
        "scikit-learn": LogisticRegression(max_iter=max_iter),
    }
    clock = time.process_time if n_threads == 1 else time.perf_counter
    seconds = {name: [] for name in models}
    with threadpool_limits(limits=n_threads):
        for _ in range(rounds):
            for name, model in models.items():
                start = clock()
                model.fit(X, y)
                seconds[name].append(clock() - start)
    return {name: (loss(m, X, y), median(seconds[name]), int(m.n_iter_[0])) for name, m in models.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-iter", type=int, default=100)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| data | scikit-learn | iterations | fastsoftmax | iterations | ratio | loss reached, ours / theirs - 1 |")
    print("|---|---|---|---|---|---|---|")
    for name, X, y in problems(options.data):
        if options.only not in name:
            continue
        found = compare(X, y, rounds=options.rounds, n_threads=options.threads, max_iter=options.max_iter)
        (their_loss, theirs, their_iter), (our_loss, ours, our_iter) = found["scikit-learn"], found["fastsoftmax"]
        print(
            f"| {name} | {theirs * 1e3:,.1f} ms | {their_iter} | {ours * 1e3:,.1f} ms | {our_iter} "
            f"| {theirs / ours:.1f} | {our_loss / their_loss - 1:+.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
