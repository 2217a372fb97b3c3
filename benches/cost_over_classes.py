"""Training time of a row over the number of classes, full, sampled and sparse: docs/cost_over_classes.png and .svg.

Run `python benches/cost_over_classes.py` with the `plot` extra installed.
"""

import time
from pathlib import Path

import matplotlib
import numpy as np
import scipy.sparse as sp

from fastsoftmax import _threads
from fastsoftmax._model import Model, Pattern
from fastsoftmax._part import FullSoftmax, Part, Sampled
from fastsoftmax._runner import Runner
from fastsoftmax._sparse_runner import SparseRunner
from fastsoftmax._training import Trainer
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.samplers import Unigram

FULL, SAMPLED, SUPPORT = "full, low rank", "sampled, low rank", "exact on the support, no low rank"
N_CLASSES = {
    FULL: (10**3, 10**4, 10**5),
    SAMPLED: (3 * 10**3, 10**4, 10**5, 10**6, 10**7),
    SUPPORT: (10**3, 10**4, 10**5, 10**6, 10**7),
}
N_ROWS, N_FEATURES, N_ENTRIES, HIDDEN_SIZE, N_NEGATIVES, BATCH_SIZE = 4096, 50_000, 15, 128, 1024, 256
CLASSES_PER_FEATURE = 50
REPETITIONS = 5


def microseconds_per_row(name, n_classes):
    """Median over repetitions of one epoch over rows of random features and Zipf-distributed classes."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, N_FEATURES, N_ROWS * N_ENTRIES, dtype=np.int32)
    indptr = np.arange(0, len(indices) + 1, N_ENTRIES, dtype=np.int32)
    X = sp.csr_matrix((np.full(len(indices), 0.25, "f"), indices, indptr), shape=(N_ROWS, N_FEATURES))
    counts = 1.0 / np.arange(1, n_classes + 1)
    target = rng.choice(n_classes, N_ROWS, p=counts / counts.sum())
    part = support_part(X, n_classes, rng) if name == SUPPORT else low_rank_part(X, name, counts, rng)
    trainer = Trainer([part], target, np.ones(N_ROWS), batch_size=BATCH_SIZE, rng=rng, loss_curve=[])
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        trainer.run(trainer.epoch + 1)
        seconds.append(time.perf_counter() - start)
    return 1e6 * np.median(seconds[1:]) / N_ROWS


def low_rank_part(X, name, counts, rng):
    n_classes, optimizer = len(counts), Adagrad(0.1)
    model = Model.initialise(
        n_classes, N_FEATURES, HIDDEN_SIZE, None, optimizer=optimizer, dense_input=False, rng=rng, dtype=np.dtype("f")
    )
    loss = FullSoftmax() if name == FULL else Sampled(Unigram(counts * 1e9), N_NEGATIVES)
    return Part(Runner(model, X, n_threads=_threads.resolve(None)), loss, optimizer)


def support_part(X, n_classes, rng):
    """Each feature has CLASSES_PER_FEATURE classes, anywhere."""
    class_ids = rng.integers(0, n_classes - CLASSES_PER_FEATURE, (N_FEATURES, CLASSES_PER_FEATURE), dtype=np.int32)
    class_ids = np.sort(class_ids, axis=1) + np.arange(CLASSES_PER_FEATURE, dtype=np.int32)  # all different
    pattern = Pattern(np.arange(N_FEATURES + 1) * CLASSES_PER_FEATURE, class_ids.ravel())
    bias = np.full(n_classes, -np.log(n_classes), "f")
    state = {"W": np.ones(class_ids.size, "f")}
    model = Model(W=np.zeros(class_ids.size, "f"), bias=bias, state=state, pattern=pattern)
    return Part(SparseRunner(model, X, n_threads=_threads.resolve(None)), FullSoftmax(), Adagrad(1.0))


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
    axes.set_title(
        f"rows of {N_ENTRIES} features with {CLASSES_PER_FEATURE} classes each; "
        f"low rank {HIDDEN_SIZE}, {N_NEGATIVES} negatives; batch {BATCH_SIZE}, {_threads.resolve(None)} threads",
        fontsize=7,
    )
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    for suffix in ("png", "svg"):
        figure.savefig(Path(__file__).parent.parent / "docs" / f"cost_over_classes.{suffix}", dpi=150)


if __name__ == "__main__":
    main()
