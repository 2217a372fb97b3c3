"""The comparison of whole systems, problem by problem: tables, pictures of quality over time, and conclusions."""

import re

from . import comparison, style
from .document import Bullets, Cell, Heading, Paragraph, Picture, Table, prose, small, strong
from .measures import MEASURES, NLL, OF_SEVERAL_LABELS, P_AT_1, TRAINING, is_ours, outcomes, over_budgets

NOTE = (
    "Every system trains in a process of its own, with its documented best settings for the size of the problem, and "
    "predicts the 20 best classes of every test row. Medians over repetitions at the budget to compare by, with the "
    "smallest and the largest in small print where they differ from it. Training is seconds of wall clock, with CPU seconds "
    "beside; files and other types that a system needs are made before. Peak is memory of the training beyond what was there "
    "before it; the model's size is that of its files. NLL is the mean negative log-likelihood of the test labels in nats, "
    "ECE the expected calibration error of the best class (perfect predictions have about 0.05 on 360 rows, 0.02 on 2,000 and "
    "0.01 on 10,000, by chance); systems without a distribution over all classes have a `-` there. "
    "The best of a column is bold. A system without a result says why."
)


def section(quality):
    """Yield the parts of the report about `quality`."""
    yield Heading("Quality and cost of whole systems")
    yield Paragraph(prose(NOTE))
    yield Paragraph(_options(quality["options"]))
    colors = style.colors([s["name"] for s in quality["systems"]], is_ours)  # the same in all pictures
    for number, problem in enumerate(quality["problems"], start=1):
        yield from _problem(quality, problem, number, colors)
    yield Heading("What fastsoftmax loses at")
    yield Paragraph(
        "Every peer whose median is better than that of the best variant of fastsoftmax, column by column: a fast but "
        "inaccurate peer is listed for its speed, as an accurate but slow one is for its accuracy."
    )
    for problem in quality["problems"]:
        yield Heading(problem["title"], 3)
        yield Bullets(comparison.losing(list(outcomes(quality, problem["name"]))))
    yield Heading("Who is on the front")
    yield Paragraph(
        "The systems that no other beats in both, at the amount of training to compare by: as good in one and better in the "
        "other."
    )
    for problem in quality["problems"]:
        yield Heading(problem["title"], 3)
        yield Bullets(list(comparison.front_sentences(list(outcomes(quality, problem["name"])))))
    yield Heading("The systems")
    yield _systems(quality["systems"])


def _counted(n, what):
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _options(options):
    told = [_counted(options["repetitions"], "repetition"), _counted(options["n_threads"], "thread")]
    if options.get("limit_seconds"):
        told.append(f"at most {options['limit_seconds']:g} s a run")
    if options.get("max_bytes"):
        told.append(f"at most {options['max_bytes'] / 2**30:.3g} GiB of memory")
    if options.get("quick"):
        told.append("a quick run on smaller problems")
    return f"Measured with: {', '.join(told)}."


def _unknown(n_labels):
    return f", with {_counted(n_labels, 'label')} that no training row has: misses, and in no NLL" if n_labels else ""


def _problem(quality, problem, number, colors):
    found = list(outcomes(quality, problem["name"]))
    yield Heading(problem["title"], 3)
    yield Paragraph(
        f"{problem['n_classes']:,} classes, {problem['n_features']:,} features, {problem['n_train']:,} training rows with "
        f"{problem['entries_a_row']:.3g} entries and {problem['labels_a_row']:.3g} labels each (means), "
        f"{problem['n_test']:,} test rows{_unknown(problem['n_unknown'])}."
    )
    yield table(f"Systems on {problem['title']}, the most accurate first", found)
    curves = [(system["name"], list(over_budgets(quality, problem["name"], system["name"])))
              for system in quality["systems"]]  # fmt: skip
    curves = [(name, points) for name, points in curves if points]
    if curves:
        yield picture(number, problem, curves, colors)


def table(caption, found):
    """Make a table with a row for each system; those without a result come last."""
    found = sorted(found, key=lambda o: (not o.spreads, -(o.median(P_AT_1) or 0.0)))
    columns = [m for m in MEASURES if m not in OF_SEVERAL_LABELS or any(o.spreads.get(m) for o in found)]
    bests = {}
    for measure in columns:
        medians = [o.median(measure) for o in found if o.median(measure) is not None]
        bests[measure] = measure.write(measure.best(medians)) if len(medians) > 1 else None
    rows = []
    for outcome in found:
        name = outcome.system
        if not outcome.spreads:
            rows.append([name, Cell(outcome.complaint, width=len(columns))])
            continue
        note = f" ({outcome.n_good} of {outcome.n_runs} repetitions; {outcome.complaint})" if outcome.complaint else ""
        rows.append([[name, small(note)] if note else name, *(_cell(outcome, m, bests[m]) for m in columns)])
    return Table(caption, ["system", *(measure.title for measure in columns)], rows)


def _cell(outcome, measure, best):
    spread = outcome.spreads[measure]
    if spread is None:
        return Cell("-")
    median, low, high = (measure.write(value) for value in (spread.median, spread.low, spread.high))
    text = [strong(median) if median == best else median]
    if (low, high) != (median, median):
        text.append(small(f" ({low}–{high})"))
    return Cell(text, outcome.median(measure))


def _systems(systems):
    rows = []
    for s in systems:
        versions = (
            ", ".join(f"{name} {version}" for name, version in s["versions"].items()) or "unknown: no run ended well"
        )
        threads = "one, whatever it is told" if s["one_thread"] else "as told"
        rows.append([s["name"], versions, s["settings"] or "defaults", threads])
    return Table("What was run", ["system", "versions", "settings", "threads of training"], rows)


# -- pictures --


def picture(number, problem, curves, colors):
    name = f"quality_{number}_" + re.sub(r"\W+", "_", problem["name"].lower()).strip("_")
    alt = f"{problem['title']}: P@1 and NLL over training time, a line a system through its budgets"
    caption = (
        f"{problem['title']}: quality over training time. A line is a system through its amounts of training, its large "
        "mark the one to compare by; medians over repetitions. A system without a large mark got no result there: the table "
        "says why."
    )
    return Picture(name, alt, caption, lambda save: draw(save, problem["title"], curves, colors))


def draw(save, title, curves, colors):
    """Draw P@1 and, if there is any, NLL over training seconds."""
    measures = [m for m in (P_AT_1, NLL) if any(_points(points, m) for _, points in curves)]
    with style.panels(save, len(measures), height=max(3.6, 1.3 + 0.2 * len(curves))) as (figure, panels):
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        ends = [_panel(axes, measure, curves, colors) for axes, measure in zip(panels, measures, strict=True)]
        style.label_ends(panels, ends)


def _points(points, measure):
    """Return (seconds, value, whether it is the main one) of the points that can be drawn."""
    out = []
    for outcome, is_main in points:
        seconds, value = outcome.median(TRAINING), outcome.median(measure)
        if value is not None and abs(value) < float("inf") and seconds > 0:
            out.append((seconds, 100 * value if measure is P_AT_1 else value, is_main))
    return out


def _panel(axes, measure, curves, colors):
    ends = []
    for name, points in curves:
        points = _points(points, measure)
        if not points:
            continue
        ours, color = is_ours(name), colors[name]
        xs, ys, _ = zip(*points, strict=True)
        axes.plot(
            xs, ys, color=color, marker="o", markersize=3, linewidth=2.0 if ours else 1.1, zorder=3 if ours else 2
        )
        main = next((p for p in points if p[2]), points[-1])
        if main[2]:
            axes.plot(*main[:2], color=color, marker="o", markersize=8 if ours else 6.5, zorder=4)
        ends.append((name, *main[:2], color, ours))
    axes.set_xscale("log")
    if measure is NLL and max(end[2] for end in ends) > 3 * min(end[2] for end in ends) > 0:
        axes.set_yscale("log")
        style.plain_numbers(axes.yaxis)
    axes.margins(0.06)
    style.plain_numbers(axes.xaxis)
    axes.set_xlabel("training time, s")
    axes.set_title("P@1, % (more is better)" if measure is P_AT_1 else "NLL, nats (less is better)")
    return ends
