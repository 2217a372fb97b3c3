"""One point of memory_over_classes: `python -m benches.curves.memory_point SERIES N_CLASSES` prints two numbers as JSON."""

import json
import sys

from ..quality.worker.memory import Peak
from . import ours, problem


def peak_bytes(series, n_classes):
    """Return the peak of a step or a prediction and the size of the model, in bytes.

    The peak counts all that is needed beside the model, the rows and the class counts. Sampled softmax makes two steps, whose
    candidates differ.
    """
    model, classes = ours.MODELS[series](n_classes), problem.classes(n_classes)
    _warm_up(series)
    with Peak() as peak:
        call = ours.call(series, model, classes)
        for _ in range(2 if series == ours.SAMPLED else 1):
            call()
    return peak.beyond(None), problem.model_bytes(model)


def _warm_up(series):
    """Start the threads, make the rows and load all code, by a call with a small model."""
    ours.call(series, ours.MODELS[series](1000), problem.classes(1000))()


if __name__ == "__main__":
    print(json.dumps(peak_bytes(sys.argv[1], int(sys.argv[2]))))
