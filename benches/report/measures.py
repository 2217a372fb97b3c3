"""The measures of a run: how they are written, and whether more is better; medians and ranges over repetitions."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

OURS = "fastsoftmax"


def is_ours(system):
    return system.split()[0] == OURS


def number(value):
    """Write three digits, or all that are before the point."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    size = abs(value)
    return f"{value:,.0f}" if size >= 99.5 else f"{value:.1f}" if size >= 9.95 else f"{value:#.3g}"


def percent(value):
    return f"{100 * value:.2f}" if math.isfinite(value) else number(value)


def fixed(value):
    return f"{value:.4f}" if math.isfinite(value) else number(value)


@dataclass(frozen=True)
class Measure:
    """A column of the table of a problem.

    Attributes
    ----------
    of : function of a run that returns a number or None
    title : head of the column; sentences say `words`, and `unit` after the number
    """

    of: Callable
    title: str
    words: str
    unit: str
    smaller_is_better: bool
    write: Callable = number

    def better(self, a, b):
        """Whether number a is better than number b."""
        return a < b if self.smaller_is_better else a > b

    def best(self, values):
        return (min if self.smaller_is_better else max)(values)

    def sentence(self, value):
        return f"{self.write(value)} {self.unit}".rstrip()


def _field(name, scale=1.0):
    def of(run):
        return None if run.get(name) is None else run[name] * scale

    return of


def _metric(name):
    return lambda run: run["metrics"].get(name)


TRAINING = Measure(_field("train_seconds"), "training, s", "training time", "s", True)
P_AT_1 = Measure(_metric("precision@1"), "P@1, %", "P@1", "%", False, percent)
NLL = Measure(_metric("log_loss"), "NLL", "NLL", "", True, fixed)
OF_SEVERAL_LABELS = (
    Measure(_metric("ndcg@5"), "nDCG@5, %", "nDCG@5", "%", False, percent),
    Measure(_metric("psp@5"), "PSP@5, %", "PSP@5", "%", False, percent),
)
MEASURES = (
    TRAINING,
    Measure(_field("train_cpu_seconds"), "training, CPU s", "CPU time of training", "s", True),
    Measure(_field("peak_bytes", 2.0**-20), "peak, MiB", "peak memory of training", "MiB", True),
    Measure(_field("predict_rows_per_second"), "prediction, rows/s", "prediction speed", "rows/s", False),
    Measure(_field("model_bytes", 2.0**-20), "model, MiB", "size of the model", "MiB", True),
    P_AT_1,
    Measure(_metric("precision@3"), "P@3, %", "P@3", "%", False, percent),
    Measure(_metric("precision@5"), "P@5, %", "P@5", "%", False, percent),
    *OF_SEVERAL_LABELS,
    Measure(_metric("hit@20"), "hit@20, %", "hit@20", "%", False, percent),
    Measure(_metric("mrr@20"), "MRR@20", "MRR@20", "", False, fixed),
    NLL,
    Measure(_metric("calibration_error"), "ECE", "calibration error", "", True, fixed),
)


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """Summarise the values that are not None: None if there are none, NaN if one is."""
        values = [value for value in values if value is not None]
        if any(math.isnan(value) for value in values):
            return cls(math.nan, math.nan, math.nan)
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class Outcome:
    """The result of a system on a problem at one budget: its successful repetitions, and why others failed.

    Attributes
    ----------
    spreads : dict of Measure to Spread or None; empty if no repetition was successful
    complaint : str
        Status and reason of the first repetition that failed; "" if none did.
    n_good, n_runs : int
    """

    system: str
    budget: float | None
    spreads: dict
    complaint: str
    n_good: int
    n_runs: int

    @classmethod
    def of(cls, system, budget, runs, limit_seconds):
        good = [run for run in runs if run["status"] == "ok"]
        spreads = {measure: Spread.of([measure.of(run) for run in good]) for measure in MEASURES} if good else {}
        complaint = next((complaint_of(run, limit_seconds) for run in runs if run["status"] != "ok"), "")
        if not runs:
            complaint = "not measured"
        return cls(system, budget, spreads, complaint, len(good), len(runs))

    def median(self, measure):
        """Return the median, or None if it cannot be compared."""
        spread = self.spreads.get(measure)
        return None if spread is None or math.isnan(spread.median) else spread.median

    @property
    def is_ours(self):
        return is_ours(self.system)


_WORDS = {"not applicable": "does not apply"}
_REASONS = {"missing": "not installed"}


def complaint_of(run, limit_seconds):
    """Write status and reason, as in "missing: not installed" and "too slow: > 120 s"."""
    status = run["status"]
    default = f"> {limit_seconds:g} s" if status == "too slow" and limit_seconds else _REASONS.get(status, "")
    reason = (run.get("reason") or "").strip() or default
    return f"{_WORDS.get(status, status)}: {reason}" if reason else _WORDS.get(status, status)


def outcomes(quality, problem):
    """Yield the Outcome of every system at its main budget, in the systems' order."""
    runs = [run for run in quality["runs"] if run["problem"] == problem and run["is_main"]]
    limit = quality["options"].get("limit_seconds")
    for system in quality["systems"]:
        own = [run for run in runs if run["system"] == system["name"]]
        yield Outcome.of(system["name"], own[0]["budget"] if own else None, own, limit)


def over_budgets(quality, problem, system):
    """Yield the successful Outcomes of a system by ascending budget, and whether each is at the main one."""
    runs = [r for r in quality["runs"] if (r["problem"], r["system"]) == (problem, system) and r["status"] == "ok"]
    budgets = sorted({run["budget"] for run in runs}, key=lambda budget: -math.inf if budget is None else budget)
    for budget in budgets:
        own = [run for run in runs if run["budget"] == budget]
        yield Outcome.of(system, budget, own, None), own[0]["is_main"]
