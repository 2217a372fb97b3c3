"""Cost and quality over the number of negatives: predicting a token of Python's standard library from the six before it."""

import time
from types import SimpleNamespace

import numpy as np

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.losses import SampledSoftmax
from fastsoftmax.text.corpus import read_corpus
from fastsoftmax.text.features import context_features
from fastsoftmax.training.watchers.base import Watcher

from ..watching import watching
from .record import TRAINING, line, of_seconds

N_NEGATIVES = (64, 256, 1024, 4096, 8192)
QUICK_NEGATIVES = (64, 512, 4096)
N_TRAIN, QUICK_TRAIN, N_TEST = 160_000, 60_000, 4000
EPOCHS, QUICK_EPOCHS = 2, 1
UNIGRAM, IN_BATCH, FULL = "unigram negatives", "in-batch negatives (default)", "all classes"


def measure(quick, progress):
    data, records = _tokens(QUICK_TRAIN if quick else N_TRAIN), []
    n_classes, epochs = len(np.unique(data.y)), QUICK_EPOCHS if quick else EPOCHS
    runs = [
        (UNIGRAM, n, {"loss": SampledSoftmax("unigram", n_negatives=n)})
        for n in (QUICK_NEGATIVES if quick else N_NEGATIVES)
    ]
    runs = [run for run in runs if run[1] < n_classes]
    runs.append((IN_BATCH, 255, {"loss": "sampled_softmax"}))  # each row has the targets of the batch's 255 others
    runs.append((FULL, n_classes, {"loss": "softmax"}))
    for series, n, parameters in runs:
        seconds, quality = _run(data, epochs, parameters)
        more = quality | {"epochs": epochs, "n_classes": n_classes}
        records.append(of_seconds(series, TRAINING, n, seconds, len(data.y), **more))
        progress(line(records[-1], "negatives") + f"  NLL {quality['nll']:.3f}, P@1 {quality['p_at_1_percent']:.1f} %")
    return records


def _tokens(n_train):
    """Take the same share of tokens from all files, so that there are more classes than negatives."""
    corpus = read_corpus()

    def rows(ids, starts, n):
        chosen = np.linspace(0, len(ids) - 1, min(n, len(ids))).astype(np.int64)
        return context_features(ids, starts, corpus.n_classes)[chosen], ids[chosen]

    X, y = rows(corpus.train_ids, corpus.train_starts, n_train)
    X_test, y_test = rows(corpus.test_ids, corpus.test_starts, N_TEST)
    return SimpleNamespace(X=X, y=y, X_test=X_test, y_test=y_test)


class _Clock(Watcher):
    """Measures the seconds of each epoch."""

    matters = False

    def __init__(self):
        self.seconds = []

    def before_epoch(self, trainer):
        self.start = time.perf_counter()

    def after_epoch(self, trainer):
        self.seconds.append(time.perf_counter() - self.start)


def _run(data, epochs, parameters):
    """Return the seconds of each epoch and the quality on test rows. The NLL leaves out labels that no training row has."""
    common = {"direct": None, "hidden_size": 128, "calibration_fraction": 0.0, "max_iter": epochs, "random_state": 0}
    with watching(_Clock()) as clock:
        model = SoftmaxClassifier(**common, **parameters).fit(data.X, data.y)
    log_proba = model.target_log_proba(data.X_test, data.y_test)
    best = model.predict_topk(data.X_test, 1)[0][:, 0]
    quality = {
        "nll": float(-log_proba[np.isfinite(log_proba)].mean()),
        "p_at_1_percent": float(100 * np.mean(best == data.y_test)),
    }
    return clock.seconds, quality
