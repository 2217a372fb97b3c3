"""Points of a curve, as plain numbers."""

import statistics

TRAINING, PREDICTION = "training", "prediction"


def of_seconds(series, task, x, seconds, n_rows, **more):
    """Make the record of rounds that took `seconds` for `n_rows` rows each."""
    costs = [1e6 * s / n_rows for s in seconds]
    values = {"y": statistics.median(costs), "low": min(costs), "high": max(costs)}
    values = {name: float(value) for name, value in values.items()}
    return _record(series, task, x, values, "microseconds a row", len(costs), more)


def of_bytes(series, task, x, n_bytes, **more):
    return _record(series, task, x, dict.fromkeys(("y", "low", "high"), int(n_bytes)), "bytes", 1, more)


def _record(series, task, x, values, unit, rounds, more):
    return {"series": series, "task": task, "x": int(x)} | values | {"unit": unit, "rounds": rounds} | more


def line(record, what):
    """Write a record as a line of text; `what` names what x counts."""
    value = f"{record['y'] / 2**20:12,.1f} MiB" if record["unit"] == "bytes" else f"{record['y']:12,.1f} µs a row"
    return f"{record['series']:48}{record['x']:>12,} {what} {value}"
