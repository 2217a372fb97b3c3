"""Predicted over measured, for the points of `benches.curves`."""

from ..curves import ours
from . import machine as machines
from . import memory, work
from .sizes import Sizes, checked

WORK = {
    ours.FULL: work.full,
    ours.SAMPLED: work.sampled,
    ours.SUPPORT: work.support,
    ours.LINEAR: work.linear,
    ours.TOP: work.top,
    ours.TOP_SUPPORT: work.top_support,
}
PEAKS = {
    ours.FULL: memory.full_step,
    ours.SAMPLED: memory.sampled_step,
    ours.SUPPORT: lambda s, n_threads: memory.support_step(s),
    ours.TOP: memory.prediction,
}


def sizes_of(curves, n_classes):
    """The Sizes of a point, from what the results say of their problem."""
    try:
        p = curves["problem"]
        return checked(
            Sizes(
                n_classes=n_classes,
                n_features=p["n_features"],
                hidden_size=p["hidden_size"],
                entries=p["entries_a_row"],
                batch=p["batch_size"],
                negatives=p["n_negatives"],
                classes_per_feature=p["classes_per_feature"],
                top_k=p["top_k"],
            )
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not results of benches.curves: {type(error).__name__} {error}") from error


def time_records(curves, machine):
    """Of cost_over_classes: series, x, predicted and measured microseconds a row, their ratio, and what binds."""
    out = []
    for r in curves["cost_over_classes"]:
        if r["series"] not in WORK:
            continue
        s = sizes_of(curves, r["x"])
        phases = WORK[r["series"]](s)
        predicted = 1e6 * machines.seconds(phases, machine) / s.batch
        out.append(_compared(r, predicted, bound=machines.bound(phases, machine)))
    return out


def memory_records(curves, n_threads):
    """Of memory_over_classes: the peak beyond the model, and the model itself."""
    out = []
    for r in curves["memory_over_classes"]:
        s = sizes_of(curves, r["x"])
        predicted_model = memory.total(_model_parts(r["series"], s))
        out.append(
            _compared(r, memory.total(PEAKS[r["series"]](s, n_threads)))
            | {"model_predicted": predicted_model, "model_measured": r["model_bytes"]}
        )
    return out


def _compared(record, predicted, **more):
    common = {"series": record["series"], "x": record["x"], "unit": record["unit"]}
    return (
        common | {"predicted": predicted, "measured": record["y"], "ratio": predicted / max(record["y"], 1e-9)} | more
    )


def _model_parts(series, s):
    if series != ours.SUPPORT:
        return memory.model(s)
    parts = memory.model(s, "sparse", low_rank=False)
    parts.pop("state.bias")  # the benchmark's model has none: alone, a sparse term leaves the bias as it is
    return parts
