"""Run a case and make a record of it: plain numbers, as results/kernels.json has them."""

import statistics

import numpy as np

from . import problems, timing
from .case import OURS

NO_BLAS = ("rowwise", "support", "serving")  # families in which nobody's threads of BLAS go on spinning


def measure(case, budget):
    """Return the record of a case: median seconds of all calls, peaks of memory, and what was asked of it."""
    inputs = case.inputs()
    calls, peaks, expected, skipped = {}, {}, None, dict(case.skipped)
    for name in case.implementations:
        try:
            calls[name], seen, peaks[name] = case.prepare(name, inputs, expected)
        except ImportError:
            skipped[name] = "not installed"
            continue
        expected = seen if expected is None else expected
    case.reset(inputs)
    limits = {name: make(inputs) for name, make in case.limits.items()}
    pause = timing.PAUSE if case.family in NO_BLAS else timing.BLAS_PAUSE
    rounds = timing.interleaved(calls | limits, budget, [name for name in calls if name != OURS], pause)
    seconds = {name: statistics.median(s) / case.steps_per_call for name, s in rounds.items()}
    return {
        "label": case.label,
        "problem": case.problem,
        "shape": case.shape_label,
        "dtype": str(np.dtype(case.dtype)),
        "seconds": {name: seconds[name] for name in calls},
        "limits": {name: seconds[name] for name in limits},
        "rounds": len(rounds[OURS]),
        "peaks": peaks,
        "skipped": skipped,
        "asked": case.asked,
    }


def best(record, package=""):
    """Return (name, seconds) of the fastest peer whose name begins with `package`, or None."""
    peers = {name: s for name, s in record["seconds"].items() if name != OURS and name.startswith(package)}
    return min(peers.items(), key=lambda item: item[1], default=None)


def limit(record):
    """Return (name, seconds) of the limit that allows the least, or None."""
    return max(record["limits"].items(), key=lambda item: item[1], default=None)


def judge(record, records):
    """Return (what was asked, what was measured, whether that is enough) for each figure that could be measured."""
    ours, out = record["seconds"][OURS], []
    for what, bound in record["asked"].items():
        if what == "limit" and limit(record):
            value = ours / limit(record)[1]
            out.append((f"≤ {bound:.2f}× {limit(record)[0]}", f"{value:.2f}", value <= bound))
        elif what == "microseconds":
            out.append((f"≤ {bound} µs", f"{1e6 * ours:.1f}", 1e6 * ours <= bound))
        elif what == "Mpairs/s":
            value = problems.SUPPORT_PAIRS / ours / 1e6
            out.append((f"≥ {bound} million pairs a second", f"{value:.0f}", value >= bound))
        elif what == "MiB" and record["peaks"][OURS] is not None:
            value = record["peaks"][OURS] / 2**20
            out.append((f"≤ {bound} MiB", f"{value:.0f}", value <= bound))
        elif what == "growth":
            least = next((r["seconds"][OURS] for r in records if r["problem"] == record["problem"]), None)
            out.append((f"≤ {bound}× the smallest K", f"{ours / least:.2f}", ours / least <= bound))
        elif best(record, what):
            value = best(record, what)[1] / ours
            out.append((f"≥ {bound:g}× {what}", f"{value:.2f}", value >= bound))
    return out
