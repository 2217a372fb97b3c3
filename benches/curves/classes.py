"""Cost over the number of classes: microseconds a row of training and of prediction, beside torch."""

import time

from fastsoftmax.runtime import memory

from ..kernels import timing
from . import ours, problem, torchs
from .record import PREDICTION, TRAINING, line, of_seconds

N_CLASSES = (10**3, 10**4, 10**5, 10**6, 10**7)
QUICK_CLASSES = (10**3, 10**4, 10**5)
BUDGET, QUICK_BUDGET = 4.0, 0.8  # seconds for a group of calls; there are at least MIN_ROUNDS
LONG = 5.0  # seconds; a call that takes longer is measured once: warming up is a small part of it
MAX_BYTES, QUICK_BYTES = 8 << 30, 1 << 30  # the most that a series may take
SHARE = 0.7  # of the free memory that is used
GROUPS = (
    (TRAINING, (ours.FULL, ours.ROUNDED, ours.SAMPLED, ours.SUPPORT, ours.LINEAR), (torchs.FULL, torchs.SAMPLED)),
    (PREDICTION, (ours.TOP, ours.TOP_SUPPORT), (torchs.TOP,)),
)


def measure(quick, progress, left_out):
    records = []
    for n_classes in QUICK_CLASSES if quick else N_CLASSES:
        classes = problem.classes(n_classes)
        for task, our_series, torch_series in GROUPS:
            models, calls, rounds = {}, {}, {}  # made anew for each group: a full step of torch leaves little room
            for series in _fitting(n_classes, our_series, torch_series, QUICK_BYTES if quick else MAX_BYTES, left_out):
                call = _call(series, n_classes, models, classes)
                start = time.perf_counter()
                call()
                seconds = time.perf_counter() - start
                if seconds > LONG:
                    rounds[series] = [seconds]
                else:
                    calls[series] = call
                del call  # it may hold gigabytes
            pause = timing.BLAS_PAUSE if torchs.INSTALLED else timing.PAUSE
            if calls:
                rounds |= timing.interleaved(calls, QUICK_BUDGET if quick else BUDGET, pause=pause)
            for series, seconds in rounds.items():
                records.append(of_seconds(series, task, n_classes, seconds, problem.BATCH_SIZE))
                progress(line(records[-1], "classes"))
    return records


def _call(series, n_classes, models, classes):
    make = ours.MODELS.get(series, problem.low_rank)
    if make not in models:
        models[make] = make(n_classes)
    module = ours if series in ours.MODELS else torchs
    return module.call(series, models[make], classes)


def _fitting(n_classes, our_series, torch_series, max_bytes, left_out):
    """Yield the series that fit into memory; add the others to `left_out`, each with its reason."""
    left = memory.available()
    left = float("inf") if left is None else SHARE * left
    models = set()
    for series in (*our_series, *torch_series):
        if series in torch_series and not torchs.INSTALLED:
            left_out.append({"series": series, "x": n_classes, "reason": "torch is not installed"})
            continue
        n_bytes = (ours if series in our_series else torchs).expected_bytes(series, n_classes)
        if n_bytes > min(max_bytes, left):
            left_out.append({"series": series, "x": n_classes, "reason": f"takes {n_bytes / 2**30:.1f} GiB"})
            continue
        model = ours.MODELS.get(series, series)
        left -= 0 if model in models else n_bytes
        models.add(model)
        yield series
