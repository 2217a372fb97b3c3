"""Ways of candidate sampling against the full softmax: quality and training time on any data set.

    python -m benches.studies.sampling DATA.npz [--methods TEXT ...] [--epochs N] [--output RECORDS.json]
    python -m benches.studies.sampling --figures RECORDS.json ...

DATA.npz, which `pack` writes, holds `X_data`, `X_indices`, `X_indptr` and `X_shape` of a CSR matrix, its labels `y`, and the
same of test rows as `X_test_...` and `y_test`. Records are added to those of earlier runs. The figures are
docs/sampling_over_time.svg and docs/sampling_bias.svg.
"""

import argparse
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastsoftmax import SoftmaxClassifier, linear_cross_entropy, sampled_cross_entropy, samplers
from fastsoftmax.losses import NCE, NegativeSampling, SampledLogistic, SampledSoftmax, Softmax
from fastsoftmax.training.step_losses import FullLoss, SampledLoss
from fastsoftmax.training.watchers.base import Watcher

from .. import stored
from ..watching import watching

DOCS = Path(__file__).parent.parent.parent / "docs"
TOP = 20
DEFAULT = "in_batch, running normaliser"
SERIES = ("full softmax", DEFAULT, "unigram 1024")  # in the figure over time


# -- a method that the library does not have --


class EndsFull:
    """Candidate sampling that becomes the full softmax in the last part of the steps."""

    follows_model = False

    def __init__(self, sampled, n_steps, share):
        self.sampled, self.full, self.left = sampled, FullLoss(3e-4), int((1 - share) * n_steps)

    def estimate(self, target, rng, hidden=None):
        self.left -= 1
        return (self.full if self.left < 0 else self.sampled).estimate(target, rng, hidden)

    def observe(self, target):
        self.sampled.observe(target)


class EndFull(Watcher):
    """Lets a training end with the full softmax in the last `share` of its steps."""

    def __init__(self, share):
        self.share = share

    def begin(self, trainer):
        for learner in trainer.learners:
            if isinstance(learner.loss, SampledLoss):
                learner.loss = EndsFull(learner.loss, learner.n_epochs * trainer.steps_per_epoch, self.share)


# -- what is measured --


class Method(NamedTuple):
    name: str
    parameters: dict
    sampler: object = None  # function of the class counts
    watcher: object = None

    def fits(self, data):
        """Whether it draws fewer classes than there are."""
        return getattr(self.parameters["loss"], "n_negatives", 0) < len(np.unique(data[1]))


def methods():
    by_default = {"direct": None, "hidden_size": 128}
    low_rank = by_default | {"schedule": "linear"}
    yield Method("full softmax", low_rank | {"loss": "softmax"})
    yield Method("full softmax, exact gradient", low_rank | {"loss": Softmax(gradient_threshold=0.0)})
    normalised = SampledSoftmax(normaliser_rate=0.5)
    yield Method("in_batch", low_rank | {"loss": _plain()})
    yield Method(DEFAULT, by_default | {"loss": normalised})
    yield Method("full softmax, default schedule", by_default | {"loss": "softmax"})
    yield Method(f"{DEFAULT}, linear rate", low_rank | {"loss": normalised})
    unigram = SampledSoftmax("unigram", normaliser_rate=0.5)
    yield Method("unigram 1024, running normaliser", low_rank | {"loss": unigram})
    for n in (64, 256, 1024, 4096):
        yield Method(f"unigram {n}", low_rank | {"loss": _plain("unigram", n)})
    for name in ("uniform", "learned_unigram"):
        yield Method(f"{name} 1024", low_rank | {"loss": _plain(name)})
    for power in (0.5, 1.0):
        yield Method(f"unigram^{power:g} 1024", low_rank | {"loss": _plain()}, partial(samplers.Unigram, power=power))
    for n in (256, 1024):
        sampled = low_rank | {"loss": _plain(n_negatives=n)}
        yield Method(f"in_batch + uniform {n}", sampled, mixed(lambda counts: samplers.Uniform(len(counts))))
        yield Method(f"in_batch + multi_index {n}", sampled, mixed(lambda counts: samplers.MultiIndex(len(counts))))
    yield Method("in_batch, last tenth full", low_rank | {"loss": _plain()}, watcher=EndFull(0.1))
    yield Method("in_batch, constant rate", by_default | {"schedule": "constant", "loss": _plain()})
    for loss in (NCE, SampledLogistic, NegativeSampling):
        yield Method(f"{loss.name}, in_batch", low_rank | {"loss": loss()})
        yield Method(f"{loss.name}, unigram 1024", low_rank | {"loss": loss("unigram")})
    both = {"schedule": "linear", "direct": "sparse", "hidden_size": 128}
    yield Method("support and in_batch, side by side", both | {"loss": "sampled_softmax"})
    yield Method("support and full softmax, side by side", both | {"loss": "softmax"})


def _plain(sampler="in_batch", n_negatives="auto"):
    """Return sampled softmax without a running normaliser."""
    return SampledSoftmax(sampler, n_negatives=n_negatives, normaliser_rate=1.0)


def mixed(make):
    return lambda counts: samplers.Mixed([make(counts), samplers.InBatch(counts)])


def fit(method, X, y, **options):
    """Return the trained model, and the wall and CPU seconds that it took."""
    model = SoftmaxClassifier(**method.parameters | options)
    if method.sampler is not None:
        model.set_params(loss__sampler=method.sampler(np.unique(y, return_counts=True)[1]))
    start = np.array([time.perf_counter(), time.process_time()])
    with nullcontext() if method.watcher is None else watching(method.watcher):
        model.fit(X, y)
    return model, np.array([time.perf_counter(), time.process_time()]) - start


def measure(method, data, **options):
    """Return a record of quality on the test rows. A label that no training row has is an error, and in no NLL."""
    X, y, X_test, y_test = data
    model, seconds = fit(method, X, y, **options)
    top = model.predict_topk(X_test, TOP)[0] == y_test[:, None]
    log_proba = model.target_log_proba(X_test, y_test)
    nll = float(-log_proba[np.isfinite(log_proba)].mean())
    return {
        "method": method.name,
        "epochs": model.n_iter_,
        "seconds": round(float(seconds[0]), 2),
        "CPU seconds": round(float(seconds[1]), 2),  # what to compare by if other processes compete
        "P@1": round(100 * float(top[:, 0].mean()), 2),
        f"hit@{TOP}": round(100 * float(top.any(axis=1).mean()), 2),
        "NLL": round(nll, 4),
        "perplexity": round(float(np.exp(min(nll, 700.0))), 1),
    }


def pack(path, X, y, X_test, y_test):
    arrays = {}
    for name, matrix in (("X", X), ("X_test", X_test)):
        for part in ("data", "indices", "indptr", "shape"):
            arrays[f"{name}_{part}"] = getattr(matrix, part)
    np.savez(path, y=y, y_test=y_test, **arrays)


def unpack(path):
    with np.load(path) as a:
        X, X_test = (
            sparse.csr_matrix((a[f"{n}_data"], a[f"{n}_indices"], a[f"{n}_indptr"]), shape=a[f"{n}_shape"])
            for n in ("X", "X_test")
        )
        return X, a["y"], X_test, a["y_test"]


def table(records):
    """Return a Markdown table with a row for each record."""
    columns = [name for name in records[0] if name not in ("method", "threads")]
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for r in records:
        lines.append(f"| {r['method']} | " + " | ".join(f"{r[name]:g}" for name in columns) + " |")
    return "\n".join(lines)


# -- figures --


def draw_over_time(axes, title, records):
    """Draw the NLL of runs of different lengths over their training time."""
    for color, name in zip(("tab:blue", "tab:orange", "tab:green"), SERIES, strict=True):
        runs = sorted((r["CPU seconds"], r["NLL"]) for r in records if r["method"] == name)
        if runs:
            axes.semilogx(*zip(*runs, strict=True), marker="o", markersize=3.5, label=name, color=color)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("training time (CPU s, one thread)")
    axes.grid(True, which="major", alpha=0.3)


def bias(n_negatives, sampler, problem, n_draws=4000):
    """Return the mean over draws of the sampled softmax loss less the full one, and its standard error."""
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(n_draws):
        class_ids, log_expected = sampler.draw(n_negatives, rng)
        losses.append(
            sampled_cross_entropy(**problem, class_ids=class_ids, log_expected_counts=log_expected, n_threads=1)
        )
    return np.mean(losses) - linear_cross_entropy(**problem), np.std(losses) / np.sqrt(n_draws)


def draw_bias(axes, n_classes=2000, n_features=16, sizes=(8, 16, 32, 64, 128, 256, 512)):
    rng = np.random.default_rng(0)
    counts = 1e6 / np.arange(1, n_classes + 1)
    problem = {
        "X": rng.standard_normal((64, n_features)),
        "W": 0.4 * rng.standard_normal((n_classes, n_features)),
        "bias": np.log(counts / counts.sum()),
        "target": rng.choice(n_classes, 64, p=counts / counts.sum()),
    }
    for name, sampler in (
        ("uniform", samplers.Uniform(n_classes)),
        ("unigram^0.75", samplers.Unigram(counts)),
        ("unigram", samplers.Unigram(counts, power=1)),
    ):
        biases, errors = zip(*(bias(n, sampler, problem) for n in sizes), strict=True)
        axes.errorbar(sizes, -np.array(biases), yerr=errors, marker="o", markersize=3.5, label=name)
    axes.loglog(sizes, 4.0 / np.array(sizes), color="grey", linestyle=":", label="proportional to 1/S")
    axes.set(xlabel="negatives S", ylabel="full loss − mean sampled loss")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def draw(paths):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(paths), figsize=(3.4 * len(paths), 3.2), layout="constrained", squeeze=False)
    for axes, path in zip(panels[0], paths, strict=True):
        draw_over_time(axes, path.stem, stored.load(path))
    panels[0, 0].set_ylabel("NLL of test rows")
    panels[0, 0].legend(frameon=False, fontsize=8)
    save(figure, "sampling_over_time")
    figure, axes = plt.subplots(figsize=(4.8, 3.4), layout="constrained")
    draw_bias(axes)
    save(figure, "sampling_bias")


def save(figure, name):
    figure.savefig(DOCS / f"{name}.svg", metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(prog="python -m benches.studies.sampling", description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="an .npz file")
    parser.add_argument("--methods", nargs="*", default=[""], help="those whose names contain one of these")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, help="JSON")
    parser.add_argument("--figures", type=Path, nargs="+", help="draw them from these records instead")
    options = parser.parse_args()
    if options.figures:
        draw(options.figures)
        return
    records = (options.output and stored.load(options.output)) or []
    data = unpack(options.data)
    chosen = [m for m in methods() if any(text in m.name for text in options.methods) and m.fits(data)]
    for method in chosen:
        for epochs in options.epochs:
            record = measure(method, data, max_iter=epochs, random_state=0, n_threads=options.threads)
            records = [r for r in records if (r["method"], r["epochs"]) != (method.name, epochs)] + [record]
            print(record, flush=True)
            if options.output:
                stored.save(options.output, records)
    print(table(records))


if __name__ == "__main__":
    main()
