"""Peak memory over the number of classes, beyond the model and the rows: each point in a fresh process (memory_point.py)."""

import json
import subprocess
import sys

from fastsoftmax.runtime import memory

from ..quality.worker.memory import AVAILABLE
from . import ours
from .classes import MAX_BYTES, QUICK_BYTES, SHARE
from .record import PREDICTION, TRAINING, line, of_bytes

N_CLASSES = (10**3, 10**4, 10**5, 10**6, 10**7)
QUICK_CLASSES = (10**4, 10**6)
SERIES = (ours.FULL, ours.SAMPLED, ours.SUPPORT, ours.TOP)


def measure(quick, progress, left_out):
    records = []
    for n_classes in QUICK_CLASSES if quick else N_CLASSES:
        for series in SERIES:
            reason = _why_not(series, n_classes, quick)
            if reason:
                left_out.append({"series": series, "x": n_classes, "reason": f"memory: {reason}"})
                continue
            try:
                peak, model_bytes = _in_own_process(series, n_classes)
            except RuntimeError as error:  # it may have been killed for lack of memory: keep the other points
                left_out.append({"series": series, "x": n_classes, "reason": f"memory: {error}"})
                continue
            if peak is None:
                left_out.append(
                    {"series": series, "x": n_classes, "reason": "memory: this system does not tell the peak"}
                )
                continue
            task = PREDICTION if ours.is_prediction(series) else TRAINING
            records.append(of_bytes(series, task, n_classes, peak, model_bytes=model_bytes))
            progress(line(records[-1], "classes") + f" beside a model of {model_bytes / 2**20:,.1f} MiB")
    return records


def _why_not(series, n_classes, quick):
    if not AVAILABLE:
        return "only Linux tells the peak of a piece of code"
    n_bytes, free = ours.expected_bytes(series, n_classes), memory.available()
    most = QUICK_BYTES if quick else MAX_BYTES
    if n_bytes > (most if free is None else min(most, SHARE * free)):
        return f"takes {n_bytes / 2**30:.1f} GiB"
    return ""


def _in_own_process(series, n_classes):
    command = [sys.executable, "-m", f"{__package__}.memory_point", series, str(n_classes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise RuntimeError(f"exit status {done.returncode}: {last[:200]}")
    return json.loads(done.stdout)
