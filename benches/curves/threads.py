"""Cost over the number of threads, and the serial share that one and two of them tell. (What is computed is the same.)"""

from fastsoftmax.runtime import threads

from ..kernels import timing
from . import ours, problem
from .record import PREDICTION, TRAINING, amdahl, line, of_seconds, share_line

N_CLASSES = {ours.FULL: 10**5, ours.SAMPLED: 10**6, ours.SUPPORT: 10**6, ours.TOP: 10**5}
QUICK_DIVISOR = 10
BUDGET, QUICK_BUDGET = 6.0, 0.5  # seconds for a series


def measure(quick, progress, n_threads_list=None):
    records = []
    for series, n_classes in N_CLASSES.items():
        n_classes //= QUICK_DIVISOR if quick else 1
        model, classes = ours.MODELS[series](n_classes), problem.classes(n_classes)
        calls = {n: ours.call(series, model, classes, n) for n in n_threads_list or default_list()}
        for call in calls.values():
            call()
        task = PREDICTION if ours.is_prediction(series) else TRAINING
        for n, seconds in timing.interleaved(calls, QUICK_BUDGET if quick else BUDGET).items():
            records.append(of_seconds(series, task, n, seconds, problem.BATCH_SIZE, n_classes=n_classes))
            progress(line(records[-1], "threads"))
    for series, share in amdahl(records).items():
        progress(share_line(series, share))
    return records


def default_list():
    """Return the powers of two below the number of CPUs, and that number."""
    n_cpus, n, out = threads.n_cpus(), 1, []
    while n < n_cpus:
        out.append(n)
        n *= 2
    return [*out, n_cpus]
