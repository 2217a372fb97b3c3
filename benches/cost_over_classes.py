"""Training time of a row over the number of classes, full and sampled: docs/cost_over_classes.png and .svg.

Run `python benches/cost_over_classes.py` with the `plot` extra installed.
"""

import time
from pathlib import Path

import matplotlib
import numpy as np
import scipy.sparse as sp

from fastsoftmax import _threads
from fastsoftmax._model import Model
from fastsoftmax._runner import Runner
from fastsoftmax._training import FullSoftmax, Progress, SampledSoftmax, Trainer
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.samplers import Unigram

N_CLASSES = {"full softmax": (10**3, 10**4, 10**5), "sampled, 1024 negatives": (3 * 10**3, 10**4, 10**5, 10**6, 10**7)}
N_ROWS, N_FEATURES, N_ENTRIES, HIDDEN_SIZE, BATCH_SIZE = 4096, 50_000, 15, 128, 256
REPETITIONS = 5


def microseconds_per_row(loss_name, n_classes):
    """Median over repetitions of one epoch over rows of random features and Zipf-distributed classes."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, N_FEATURES, N_ROWS * N_ENTRIES, dtype=np.int32)
    indptr = np.arange(0, len(indices) + 1, N_ENTRIES, dtype=np.int32)
    X = sp.csr_matrix((np.full(len(indices), 0.25, "f"), indices, indptr), shape=(N_ROWS, N_FEATURES))
    counts = 1.0 / np.arange(1, n_classes + 1)
    target = rng.choice(n_classes, N_ROWS, p=counts / counts.sum())
    optimizer = Adagrad(0.1)
    model = Model.initialise(
        n_classes, N_FEATURES, HIDDEN_SIZE, False, optimizer=optimizer, dense_input=False, rng=rng, dtype=np.dtype("f")
    )
    loss = FullSoftmax() if loss_name == "full softmax" else SampledSoftmax(Unigram(counts * 1e9), 1024)
    runner = Runner(model, X, n_threads=_threads.resolve(None))
    trainer = Trainer(runner, target, np.ones(N_ROWS), loss, optimizer, batch_size=BATCH_SIZE, rng=rng)
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        trainer.epoch(Progress(0, 0, 0))
        seconds.append(time.perf_counter() - start)
    return 1e6 * np.median(seconds[1:]) / N_ROWS


def main():
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, sizes in N_CLASSES.items():
        costs = [microseconds_per_row(name, n_classes) for n_classes in sizes]
        for n_classes, cost in zip(sizes, costs, strict=True):
            print(f"{name:26}{n_classes:>12,} classes {cost:10.1f} us a row", flush=True)
        axes.loglog(sizes, costs, marker="o", label=name)
    axes.set(xlabel="classes", ylabel="training time of a row (µs)", ylim=(1, None))
    axes.set_title(f"low rank {HIDDEN_SIZE}, batch {BATCH_SIZE}, {_threads.resolve(None)} threads", fontsize=10)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    for suffix in ("png", "svg"):
        figure.savefig(Path(__file__).parent.parent / "docs" / f"cost_over_classes.{suffix}", dpi=150)


if __name__ == "__main__":
    main()
