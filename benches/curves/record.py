"""Points of a curve, as plain numbers."""

import statistics

MANY_THREADS = 16  # for which Amdahl's law is asked
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


def serial_share(one, two):
    """Return the share of the work that no second thread speeds up, by Amdahl's law, from the y of one and of two threads.

    T(n) = T(1) (share + (1 - share) / n). Rounds are noisy, so the share is kept within 0 and 1.
    """
    return min(max(2 * two["y"] / one["y"] - 1, 0.0), 1.0)


def speed_up(share, n_threads):
    """Return how many times as fast as one thread `n_threads` are if this share of the work is serial."""
    return 1 / (share + (1 - share) / n_threads)


def amdahl(records):
    """Return {series: its serial share} for those that were measured with one and with two threads."""
    found = {(r["series"], r["x"]): r for r in records}
    pairs = {series: (one, found.get((series, 2))) for (series, x), one in found.items() if x == 1}
    return {series: serial_share(one, two) for series, (one, two) in pairs.items() if two is not None}


def share_line(series, share):
    """Write what a serial share means as a line of text."""
    return f"{series:48}{100 * share:12.1f} % serial, so {MANY_THREADS} threads: {speed_up(share, MANY_THREADS):.1f} times one"
